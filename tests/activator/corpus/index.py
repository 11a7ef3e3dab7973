"""All cases, in the order of their classes."""

from __future__ import annotations

from typing import Final

from tests.activator.corpus import (
    bodies,
    chunks,
    codings,
    controls,
    hops,
    hosts,
    lengths,
    lines,
    names,
    targets,
    unusual,
)
from tests.activator.corpus.case import Case

CLASSES: Final = {
    module.__name__.rpartition(".")[2]: module.CASES
    for module in (
        lengths, codings, chunks, names, lines, targets, hosts, hops, controls, unusual,
        bodies,
    )
}  # fmt: skip


def _distinct() -> dict[str, Case]:
    """Return the cases by their names; what two classes have is a case of the first."""
    said: set[bytes] = set()
    found = {}
    for kind, cases in CLASSES.items():
        for case in cases:
            if case.sent not in said:
                said.add(case.sent)
                found[f"{kind}: {case.name}"] = case
    return found


CASES: Final = _distinct()
