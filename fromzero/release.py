"""`fromzero release`: have revisions be let go of, and wait until they are."""

from __future__ import annotations

import time
from typing import Any, Protocol

from fromzero.errors import CommandError

_AGAIN_S = 0.5


class Cluster(Protocol):
    """What a release asks of the admin port."""

    def revisions(self) -> list[dict[str, Any]]:
        """Return all revisions."""

    def find(self, name: str) -> list[dict[str, Any]]:
        """Return those that *name* means; CommandError: there are none."""

    def release(self, revision: dict[str, Any]) -> dict[str, Any]:
        """Begin to let go of one."""


def run(
    cluster: Cluster, name: str | None, seconds: float, *, everything: bool
) -> None:
    """Let go of *name*, or of *everything*, never of all because nothing was said.

    CommandError: that is not one of them, or they are not let go of within *seconds*.
    """
    if name is None and not everything:
        raise CommandError("release needs NAME, or --all for every revision")
    if name is not None and everything:
        raise CommandError(f"release has NAME = {name} and --all, must have one alone")
    asked = cluster.revisions() if name is None else cluster.find(name)
    for each in asked:
        cluster.release(each)
    left = {_key(each): each for each in asked}
    # perf_counter: a command's own patience, not a decision's time.
    until = time.perf_counter() + seconds
    while left:
        there = {_key(each): each for each in cluster.revisions()}
        for key in [key for key in left if key not in there]:
            print(f"{key} is let go of")
            del left[key]
        left = {key: there[key] for key in left}
        if left and time.perf_counter() >= until:
            waits = "; ".join(
                f"{key} is {each['state']}: {each['reason']}"
                for key, each in sorted(left.items())
            )
            raise CommandError(f"not let go of after {seconds:g} s: {waits}")
        if left:
            time.sleep(_AGAIN_S)


def _key(of: dict[str, Any]) -> str:
    return f"{of['namespace']}/{of['name']}"
