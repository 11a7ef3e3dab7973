"""The fields that KServe's documents have, for `did you mean`.

fields.json holds names only, taken from KServe's published schemas: shapes that are
equal are one shape, 0 is a shape that may hold anything.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files

from autoscaler.place import Place

LIFTED = (
    "minReplicas",
    "maxReplicas",
    "scaleTarget",
    "scaleMetric",
    "containerConcurrency",
    "timeout",
    "canaryTrafficPercent",
)
"""Fields of a component that some guides print at `spec` level."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name most like *name*, or nothing.

    >>> nearest("minReplica", ("maxReplicas", "minReplicas", "model"))
    'minReplicas'
    """
    names = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.7)
    return names[close[0]] if close else ""


def unknown(kind: str, spec: Place) -> Iterator[tuple[Place, str]]:
    """Walk *spec*; return each field that *kind* does not have, and the nearest."""
    roots, shapes = _schema()
    waiting = [(spec, roots[kind])]
    while waiting:
        place, number = waiting.pop()
        if isinstance(place.node.data, tuple):
            waiting += [(each, number) for each in place.each()]
        if not number or not isinstance(place.node.data, dict):
            continue
        shape = shapes[number]
        for name, child in place.items():
            if name in shape:
                waiting.append((child, shape[name]))
            elif number != roots["InferenceService"] or name not in LIFTED:
                yield child, nearest(name, shape)


@cache
def _schema() -> tuple[dict[str, int], dict[int, dict[str, int]]]:
    data = json.loads(files("autoscaler").joinpath("fields.json").read_text("utf-8"))
    shapes = {int(number): shape for number, shape in data.pop("shapes").items()}
    return data, shapes
