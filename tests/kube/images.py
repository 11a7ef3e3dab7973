"""What stands for a container image: a command on this machine, and how its pull goes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """How a container of this image is run."""

    entry: tuple[str, ...] = (sys.executable,)
    """The image's ENTRYPOINT: a container's `command` takes its place, and `args`'."""
    args: tuple[str, ...] = ()
    """The image's CMD: a container's `args` or `command` take its place."""
    env: Mapping[str, str] = field(default_factory=dict)
    user: int = 0
    folder: str = "/"
    shows: tuple[str, ...] = ()
    """Folders of this machine that it contains, beside its programs, at the same paths."""
    pull_s: float = 0.0
    """How long a node that has not got it takes to pull it."""
    refused: str = ""
    """Why it cannot be pulled, in the registry's words; nothing: it can."""
    oom_s: float | None = None
    """When a container of it is killed for want of memory, after its start."""

    def command(self, command: list[str], args: list[str]) -> list[str]:
        """Return what is run for a container's `command` and `args`.

        >>> Image(entry=("serve",), args=("--all",)).command([], [])
        ['serve', '--all']
        >>> Image(entry=("serve",), args=("--all",)).command([], ["--one"])
        ['serve', '--one']
        >>> Image(entry=("serve",), args=("--all",)).command(["sh"], [])
        ['sh']
        """
        if command:
            return [*command, *args]
        return [*self.entry, *(args or self.args)]


def script(path: Path, *args: str, pull_s: float = 0.0) -> Image:
    """Return an image that runs a Python file, with the packages of the tests."""
    shows = (str(path.parent),)
    return Image(args=(str(path), *args), shows=shows, pull_s=pull_s)


def fromzero(user: int = 65532) -> Image:
    """Return fromzero's own image: this checkout, as its Dockerfile would pack it."""
    return Image(entry=(sys.executable, "-m", "fromzero"), user=user, folder=str(ROOT))


def visible(image: Image) -> list[str]:
    """Return the folders that a container of *image* sees, outer ones first."""
    return sorted({sys.base_prefix, sys.prefix, str(ROOT), *image.shows})
