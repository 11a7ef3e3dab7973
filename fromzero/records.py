"""Records that a command writes while it serves: a trace, and decisions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from activator.access_log import AccessLog
from activator.watcher import Finished
from autoscaler.clock import monotonic, wall
from autoscaler.core.domain import RevisionKey
from autoscaler.errors import BadInput, Problem
from fromzero.flags import Records
from fromzero.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Records that are being written."""

    trace: Trace | None = None
    decisions: IO[str] | None = None
    access: AccessLog | None = None


NO_FILES = Files()


class Recorder:
    """Listens to an activator, and writes its requests as a trace."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def connected(self, key: RevisionKey) -> None:
        """A start is no request."""

    def answered(self, key: RevisionKey, at: float) -> None:
        """Its end is what is written."""

    def finished(self, request: Finished) -> None:
        """Write a request."""
        self._trace.add(
            request.service,
            arrived=request.arrived,
            service_s=request.service_s,
            tokens=request.tokens,
        )


@contextmanager
def recording(records: Records) -> Iterator[Files]:
    """Open what is to be written; raise BadInput if that cannot be."""
    with ExitStack() as stack:
        trace = decisions = None
        if records.trace is not None:
            with _said("record-trace", records.trace):
                trace = stack.enter_context(
                    Trace(records.trace, monotonic, unix_s=wall())
                )
        if records.decisions is not None:
            with _said("record-decisions", records.decisions):
                # Line by line: the last call before a crash is the one to have.
                file = records.decisions.open("w", encoding="utf-8", buffering=1)
                decisions = stack.enter_context(file)
        yield Files(trace=trace, decisions=decisions)


@contextmanager
def _said(flag: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        rule = f"cannot be written: {error.strerror}"
        problem = Problem(field=f"--{flag}", value=str(path), rule=rule)
        raise BadInput([problem]) from error
