"""The requests of a trace while they are read: columns that fill up."""

from __future__ import annotations

from array import array
from math import isfinite, nan

import numpy as np
from numpy.typing import NDArray

from simulations.formats.reader import EPOCH_S, MOST, Reader, RuleError
from simulations.trace import MOST_S, UNKNOWN, Trace, TraceError, in_order

_LONG_S = 600.0
_FEW, _DENSE = 100, 1_000
_MODEL = "model"
"""The name of a model that has none."""
_MOST_MODELS = 1_000_000
_MOST_TOKENS = 1_000_000_000


class Columns:
    """The requests of a trace while they are read, from *begin* on.

    Where *begin* is None time begins with the first request; *dated*: what is added
    counts from 1970. Lines may be out of order if *why_unsorted* says why.
    """

    def __init__(
        self,
        *,
        begin: float | None = None,
        dated: bool = False,
        why_unsorted: str = "",
    ) -> None:
        self._dated = dated
        self._begin = begin
        self._why_unsorted = why_unsorted
        self._low = -EPOCH_S if begin is None else begin
        self._high = EPOCH_S if begin is None else begin + MOST_S
        self._arrivals = array("d")
        self._model = array("I")
        self._input = array("q")
        self._output = array("q")
        self._services = array("d")
        self._models: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._arrivals)

    def add(
        self,
        at: float,
        model: str = _MODEL,
        input_tokens: int = UNKNOWN,
        output_tokens: int = UNKNOWN,
        service_s: float = nan,
    ) -> None:
        """Add one request; RuleError: it cannot be."""
        if not self._low <= at <= self._high:
            raise RuleError(self._why_not(at))
        if len(self._arrivals) >= MOST:
            raise RuleError(f"must be one of at most {MOST:,} requests")
        if service_s < 0 or service_s > MOST_S:  # NaN is one that is not known.
            raise RuleError("a service time must be seconds, from 0 to ten years")
        if input_tokens > _MOST_TOKENS or output_tokens > _MOST_TOKENS:
            raise RuleError(f"must have at most {_MOST_TOKENS:,} tokens")
        model = model or _MODEL
        number = self._models.get(model)
        if number is None:
            number = self._named(model)
        if not self._arrivals and self._begin is None:
            self._low, self._high = at - MOST_S, at + MOST_S
        if not self._why_unsorted:
            self._low = at
        self._arrivals.append(at)
        self._model.append(number)
        self._input.append(input_tokens)
        self._output.append(output_tokens)
        self._services.append(service_s)

    def trace(
        self, reader: Reader, source: str, *, span_s: float | None = None
    ) -> Trace:
        """Return what was read; columns that were in order are not copied."""
        at = np.frombuffer(self._arrivals, dtype=np.float64)
        if not len(at):
            raise TraceError(f"{reader.name}: no request; a trace has at least one")
        remarks = list(reader.remarks)
        late = int(np.count_nonzero(at[1:] < at[:-1]))
        order: NDArray[np.intp] | slice = slice(None)
        if late:
            order = np.argsort(at, kind="stable")
            remarks.append(f"{late} lines put in order: {self._why_unsorted}")
        arrivals = at[order]
        began = float(arrivals[0])
        if self._begin is None:
            arrivals -= began
        services = np.frombuffer(self._services, dtype=np.float64)[order]
        long = int(np.count_nonzero(services > _LONG_S))
        if 2 * long > int(np.count_nonzero(services >= 0.0)):
            remarks.append(
                f"{long} requests took more than {_LONG_S:g} s each: are those seconds?"
            )
        if len(at) >= _FEW and len(at) > _DENSE * arrivals[-1]:
            remarks.append(
                f"over {_DENSE:,} requests a second: is the time in that unit?"
            )
        models, model = in_order(
            tuple(self._models), np.frombuffer(self._model, dtype=np.uint32)[order]
        )
        return Trace(
            models=models,
            arrivals=arrivals,
            model=model,
            input_tokens=np.frombuffer(self._input, dtype=np.int64)[order],
            output_tokens=np.frombuffer(self._output, dtype=np.int64)[order],
            services=services,
            span_s=max(float(arrivals[-1]), span_s or 0.0),
            source=source,
            remarks=tuple(remarks),
            began_s=began if self._dated else None,
        )

    def _named(self, model: str) -> int:
        if not model.isprintable():
            raise RuleError("the name of a model must be printable")
        if len(self._models) >= _MOST_MODELS:
            raise RuleError(f"must be of one of at most {_MOST_MODELS:,} models")
        return self._models.setdefault(model, len(self._models))

    def _why_not(self, at: float) -> str:
        """Return the rule that a request at that time breaks."""
        if not isfinite(at):
            return "must have a time that is a number"
        if self._begin is not None and at < self._begin:
            return f"must not come before {self._begin:g} s"
        if abs(at) > EPOCH_S:
            return "must have its time in seconds; these are milliseconds, or less"
        if self._arrivals and at < self._arrivals[-1] and not self._why_unsorted:
            return "came before the request above it; arrivals must ascend"
        begin = "the begin" if self._begin is not None else "the first"
        return f"must not be ten years from {begin}: is the time in seconds?"
