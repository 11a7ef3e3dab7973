"""Requests as a trace that the simulator reads: CSV, one line for each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from fromzero import __version__

_log = logging.getLogger(__name__)

COLUMNS = "arrival_s,model,input_tokens,output_tokens,service_s,session"
_HEAD = f"""\
# source: fromzero {__version__} --record-trace
# format: 1
# arrival_s: seconds since the recording began; service_s: at the replica
"""


_MOST_SORTED = 500_000
"""Lines, some 50 MB; more stay as they are, which whoever reads them puts right."""


class Trace:
    """Write each request as it ends; closing puts them in the order of arrival.

    The last line says how long was recorded. A recording that was cut off has none, and
    is whole lines in the order in which requests ended.
    """

    def __init__(
        self, path: Path, clock: Callable[[], float], *, unix_s: float
    ) -> None:
        self._path = path
        self._clock = clock
        self._began = clock()
        self._last = 0.0
        self._count = 0
        self._ended = False
        self._sorted = True
        # Line by line, so that a crash loses none and a reader may follow.
        self._file: IO[str] = path.open("w", encoding="utf-8", buffering=1)
        self._file.write(f"{_HEAD}# began_s: {unix_s:.6f}\n{COLUMNS}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        length = max(self._last, self._clock() - self._began)
        self._write(f"# span_s: {length:.6f}\n")
        if self._ended:
            return
        self._file.close()
        if not self._sorted and self._count <= _MOST_SORTED:
            _sort(self._path)

    def add(
        self,
        model: str,
        *,
        arrived: float,
        service_s: float | None,
        tokens: tuple[int | None, int | None] = (None, None),
    ) -> None:
        """Write one request; *arrived* is in the seconds of the clock.

        A *service_s* of None: no replica ever saw it.
        """
        at = max(0.0, arrived - self._began)
        self._sorted = self._sorted and at >= self._last
        self._last = max(at, self._last)
        self._count += 1
        taken, made = ("" if each is None else each for each in tokens)
        name = f'"{model}"' if "," in model else model
        served = "" if service_s is None else f"{service_s:.6f}"
        self._write(f"{at:.6f},{name},{taken},{made},{served},\n")

    def _write(self, line: str) -> None:
        """Write a line; a disk that is full ends the recording, and nothing else."""
        if self._ended:
            return
        try:
            self._file.write(line)
        except OSError as error:
            _log.error("recording ended path=%s why=%s", self._path, error.strerror)
            self._ended = True
            with suppress(OSError):  # It tries to write what is left once more.
                self._file.close()


def _sort(path: Path) -> None:
    with path.open(encoding="utf-8") as file:
        lines = file.readlines()
    head = lines.index(f"{COLUMNS}\n") + 1
    rows = sorted(lines[head:-1], key=lambda line: float(line.partition(",")[0]))
    whole = path.with_name(f"{path.name}.part")
    with whole.open("w", encoding="utf-8") as file:
        file.writelines([*lines[:head], *rows, lines[-1]])
    whole.replace(path)
