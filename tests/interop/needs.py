"""What `make interop` installs, and marks that skip a test where it is missing.

Where CI is set nothing skips: a test whose programs are missing fails.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv/bin/python"
CLIENTS = ROOT / ".venv-clients/bin"
KSERVE = ROOT / ".venv-kserve/bin"
MLSERVER = ROOT / ".venv-mlserver/bin"
MODELS = ROOT / "examples/demo/.models"


def _all_of(*paths: Path) -> pytest.MarkDecorator:
    missing = not all(path.exists() for path in paths)
    return pytest.mark.skipif(
        missing and not os.environ.get("CI"), reason="run `make interop`"
    )


needs_clients = _all_of(CLIENTS.parent / ".clients")
needs_kserve = _all_of(KSERVE.parent / ".kserve")
needs_mlserver = _all_of(MLSERVER.parent / ".mlserver")
needs_models = _all_of(MODELS / "iris", MODELS / "gemma")
needs_storage = _all_of(PYTHON.parents[1] / ".storage", CLIENTS.parent / ".clients")
