"""Write the golden reports: `python -m tests.golden.write [DIRECTORY]`."""

from __future__ import annotations

import sys
from pathlib import Path

from simulations.report import render
from simulations.world import World
from tests.golden.scenarios import ALL


def write(directory: Path) -> None:
    """Run every scenario and leave its report in *directory*."""
    for name, scenario in ALL.items():
        text = render(World(scenario()).run())
        (directory / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
