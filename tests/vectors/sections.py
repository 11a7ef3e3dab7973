"""The recorded facts about Knative, section by section."""

import json
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DECISIONS = HERE / "kpa_decisions.jsonl.gz"


@cache
def sections() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((HERE / "knative_vectors.json").read_text())
    return parsed


def section(name: str) -> Any:
    return sections()[name]
