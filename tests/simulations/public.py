"""Where public traces are, if they are here: they are not ours to ship."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_PLACES = (
    os.environ.get("FROMZERO_TRACES", ""),
    str(Path(__file__).parents[3] / "shared" / "traces"),
)


def public(name: str) -> Path:
    """Return the file of a public trace; skip the test where it is missing."""
    for place in _PLACES:
        path = Path(place, name)
        if place and path.is_file():
            return path
    pytest.skip(
        f"{name} is not here: docs/traces.md says where it is published; "
        "FROMZERO_TRACES names a folder"
    )
