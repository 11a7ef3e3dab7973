from __future__ import annotations

from pathlib import Path

import pytest

from fromzero.flags import Flags, Records, dumps, loads
from fromzero.logs import LogFormat


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(Flags(paths=(), settings={}), id="nothing"),
        pytest.param(
            Flags(
                paths=(Path("a b.yaml"), Path("ü")),
                settings={"port": "0", "memory": None},
                config=Path("c.yaml"),
                records=Records(trace=Path("t.csv"), decisions=Path("d.jsonl")),
                log_format=LogFormat.JSON,
            ),
            id="everything",
        ),
    ],
)
def test_what_was_said_is_what_is_handed_on(flags):
    assert loads(dumps(flags)) == flags
