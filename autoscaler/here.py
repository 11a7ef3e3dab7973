"""What a revision needs and this machine has not."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from autoscaler.backends.base import Launch
from autoscaler.backends.usage import PROC, measurable
from autoscaler.component import Said
from autoscaler.core.domain import Budget, Metric, Needs
from autoscaler.notes import Level
from autoscaler.quantity import in_words
from autoscaler.storage_uri import is_remote, local

PYTHON = "$(PYTHON)"
_STANDS_ON = {"kserve_sklearn.py": ("kserve", "sklearn", "joblib")}
"""What the servers that come with fromzero import."""
_EXEC = re.compile(r"\bexec\s+([^\s;&|]+)")


def lacking(
    launch: Launch, budget: Budget, volumes: Path | None, search: str
) -> Iterator[Said]:
    """Say what would keep *launch* from starting; *search* is a PATH."""
    if (program := missing(launch, search)) is not None:
        yield Said(
            text=f"{program} is not on this machine: install it, or give a "
            "ServingRuntime whose command is; until then a start fails",
            level=Level.WARNING,
        )
    yield from _too_big(launch.needs, budget)
    uri = launch.storage_uri
    if is_remote(uri) and not _importable("kserve_storage"):
        yield Said(
            text=f"{uri} needs kserve-storage: pip install 'fromzero[storage]'",
            level=Level.WARNING,
        )
    if uri.startswith("pvc://") and volumes is None:
        yield _problem(f"{uri}: no directory stands for volumes: set --pvc-root")
    elif (path := local(uri, volumes) if uri else None) and not path.exists():
        yield _problem(f"there is no model at {path}")


def unmeasured(metric: Metric, proc: Path = PROC) -> Iterator[Said]:
    """Say that use by *metric* cannot be seen here, so it scales nothing."""
    if metric in (Metric.CPU, Metric.MEMORY) and not measurable(proc):
        yield Said(
            text=f"scaleMetric {metric}: this system has no {proc}, so use is not "
            "measured, and what is awake keeps its replicas until it may sleep",
            level=Level.WARNING,
        )


def _too_big(needs: Needs, budget: Budget) -> Iterator[Said]:
    if budget.memory is not None and needs.memory > budget.memory:
        yield _problem(
            f"a replica needs {in_words(needs.memory)} of memory, more than the whole "
            f"budget of {in_words(budget.memory)}: lower resources or raise --memory"
        )
    if budget.gpus is not None and needs.gpus > budget.gpus:
        yield _problem(
            f"a replica needs {_gpus(needs.gpus)}, more than the whole budget of "
            f"{budget.gpus}: lower resources or set --gpus"
        )


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"


def _problem(text: str) -> Said:
    return Said(text=text, level=Level.PROBLEM)


def missing(launch: Launch, search: str) -> str | None:
    """Return the program or Python module that *launch* starts and that is not here."""
    command = launch.command
    if not command:
        return None
    program = command[0]
    if program == PYTHON:
        program = dict(launch.env).get("PYTHON", sys.executable)
    if program == sys.executable:
        module = _module(command)
        return f"the Python module {module}" if module else None
    if os.path.basename(program) in ("sh", "bash") and len(command) > 2:
        script = _EXEC.search(command[2])
        program = script[1] if script else program
    if "$" in program:
        return None  # Known when it is started.
    if os.sep in program:
        path = os.path.join(launch.cwd, program)
        return None if os.access(path, os.X_OK) else program
    return None if shutil.which(program, path=search) else program


def _module(command: Sequence[str]) -> str:
    """Return the module that this Python would need and has not."""
    if command[1:2] == ("-m",):
        needed = command[2:3]
    else:
        needed = _STANDS_ON.get(os.path.basename(command[1] if command[1:] else ""), ())
    return next((each for each in needed if not _importable(each)), "")


def _importable(module: str) -> bool:
    try:
        return find_spec(module.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False


def search_path(inherited: str) -> str:
    """Return where a replica's program is looked for: beside fromzero's Python last."""
    beside = str(Path(sys.executable).parent)
    return f"{inherited}:{beside}" if inherited else beside
