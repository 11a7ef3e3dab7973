"""Compile what is on a request's way, what decides and what simulates, and test that.

    python -m tests.compiled [PYTEST ARGUMENTS]

The compiled packages stay in .compiled/, where benchmarks find them. Tests that replace
parts of what is compiled are left out by their mark; the whole suite runs on the source.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
PLACE = ROOT / ".compiled"
PACKAGES = ("fromzero", "autoscaler", "activator", "simulations")
FILES = ("pyproject.toml", "README.md", "LICENSE")
MADE = shutil.ignore_patterns("*.so", "__pycache__")
TESTS = (
    "tests/activator",
    "tests/autoscaler/core",
    "tests/autoscaler/test_recording.py",
    "tests/autoscaler/test_replay.py",
    "tests/golden",
    "tests/laws",
    "tests/simulations",
)


def build() -> None:
    """Put the compiled packages into .compiled/, with the tests beside them."""
    shutil.rmtree(PLACE, ignore_errors=True)
    pip = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check")
    with TemporaryDirectory() as copy:
        # What is compiled stays where it was made, and is imported before its source.
        for name in PACKAGES:
            shutil.copytree(ROOT / name, Path(copy, name), ignore=MADE)
        for name in FILES:
            shutil.copy(ROOT / name, copy)
        subprocess.run(
            (*pip, "--no-deps", "--target", str(PLACE), copy),
            check=True,
            env=os.environ | {"HATCH_BUILD_HOOK_ENABLE_MYPYC": "1"},
        )
    if not list(PLACE.glob("activator/http1.*.so")):
        raise SystemExit("nothing was compiled: needs a C compiler and Python.h")
    for name in ("tests", "docs"):
        shutil.copytree(ROOT / name, PLACE / name)
    shutil.copy(ROOT / "pyproject.toml", PLACE)


def main(arguments: list[str]) -> int:
    build()
    command = (sys.executable, "-m", "pytest", "-q", "-m", "not source", *TESTS)
    return subprocess.run((*command, *arguments), cwd=PLACE, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
