"""Traces from text: one module for each family of formats, and which one a text is."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import IO

from simulations.formats import (
    access,
    azure,
    counts,
    own,
    servegen,
    tokens,
)
from simulations.trace import Trace, TraceError

_HEAD = 8
"""Lines by which a format is recognised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One way to write a trace."""

    fits: Callable[[Sequence[str]], bool]
    parse: Callable[[Iterable[str], str, int], Trace]


FORMATS = {
    "fromzero": Format(fits=own.fits, parse=own.parse),
    "azure-llm": Format(fits=azure.fits_tokens, parse=azure.parse_tokens),
    "azure-counts": Format(fits=azure.fits_counts, parse=azure.parse_counts),
    "azure-functions": Format(fits=azure.fits_functions, parse=azure.parse_functions),
    "servegen": Format(fits=servegen.fits, parse=servegen.parse),
    "burstgpt": Format(fits=tokens.fits_burstgpt, parse=tokens.parse_burstgpt),
    "mooncake": Format(fits=tokens.fits_mooncake, parse=tokens.parse_mooncake),
    "combined": Format(fits=access.fits_combined, parse=access.parse_combined),
    "json": Format(fits=access.fits_json, parse=access.parse_json),
    "counts": Format(fits=counts.fits, parse=counts.parse),
}


def read(path: Path, form: str = "", *, seed: int = 1) -> Trace:
    """Return the trace in a file, gzipped or not; *form* is recognised if it is empty.

    TraceError: there is none, with the line and the rule. What a format leaves to
    chance is drawn by *seed*.
    """
    try:
        with _opened(path) as file:
            return parse(file, path.name, form, seed=seed)
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise TraceError(f"{path}: cannot be read: {why}") from error
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: not UTF-8 at byte {error.start}") from error


def parse(lines: Iterable[str], name: str, form: str = "", *, seed: int = 1) -> Trace:
    """Return the trace that *lines* are."""
    rest = iter(lines)
    head = list(islice(rest, _HEAD))
    said = [line for line in head if line.strip()]
    if form and form not in FORMATS:
        raise TraceError(f"format {form!r}: must be one of {', '.join(FORMATS)}")
    names = [form] if form else [n for n, each in FORMATS.items() if each.fits(said)]
    if not said:
        raise TraceError(f"{name}: empty; a trace has at least one request")
    if not names:
        raise TraceError(
            f"{name}:1: {said[0].strip()[:80]!r}; must begin as one of the formats "
            f"{', '.join(FORMATS)}"
        )
    return FORMATS[names[0]].parse(chain(head, rest), name, seed)


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return TextIOWrapper(gzip.open(path), encoding="utf-8", newline="\n")
    return path.open(encoding="utf-8-sig", newline="\n")


def written(trace: Trace) -> Iterator[str]:
    """Yield the lines of *trace* in our own format."""
    return own.write(trace)
