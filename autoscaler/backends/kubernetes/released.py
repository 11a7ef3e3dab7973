"""What was let go by hand, as the Lease keeps it for whoever leads next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from autoscaler.core.domain import RevisionKey

ANNOTATION = "fromzero.dev/released"


def read(annotations: Mapping[str, str]) -> tuple[RevisionKey, ...]:
    """Return the revisions that a Lease's annotations name; what is none is left out.

    >>> read({ANNOTATION: "production/iris,production/llm"})[1].name
    'llm'
    """
    text = annotations.get(ANNOTATION, "")
    parts = (each.partition("/") for each in text.split(","))
    return tuple(RevisionKey(space, name) for space, _, name in parts if space and name)


def written(keys: Iterable[RevisionKey]) -> str | None:
    """Return the annotation that names *keys*; None: there need be none."""
    return ",".join(sorted(map(str, keys))) or None
