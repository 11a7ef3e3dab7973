"""Traces from text: one module for each family of formats, and which one a text is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from simulations.formats import (
    access,
    azure,
    counts,
    own,
    servegen,
    text,
    tokens,
)
from simulations.formats.reader import Part
from simulations.trace import Trace, TraceError

WHOLE = Part()
_HEAD = 1_000
"""Lines at most before the one by which a format is recognised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One way to write a trace."""

    fits: Callable[[Sequence[str]], bool]
    parse: Callable[[Iterable[str], str, int], Trace]
    part: Callable[[Iterable[str], str, int, Part], Trace] | None = None
    """Where requests are many more than lines: draw no others than those wanted."""


FORMATS = {
    "fromzero": Format(fits=own.fits, parse=own.parse),
    "azure-llm": Format(fits=azure.fits_tokens, parse=azure.parse_tokens),
    "azure-counts": Format(fits=azure.fits_counts, parse=azure.parse_counts),
    "azure-functions": Format(fits=azure.fits_functions, parse=azure.parse_functions),
    "servegen": Format(fits=servegen.fits, parse=servegen.parse, part=servegen.parse),
    "burstgpt": Format(fits=tokens.fits_burstgpt, parse=tokens.parse_burstgpt),
    "mooncake": Format(fits=tokens.fits_mooncake, parse=tokens.parse_mooncake),
    "combined": Format(fits=access.fits_combined, parse=access.parse_combined),
    "json": Format(fits=access.fits_json, parse=access.parse_json),
    "counts": Format(fits=counts.fits, parse=counts.parse),
}


def read(
    path: Path,
    form: str = "",
    *,
    seed: int = 1,
    part: Part = WHOLE,
    tell: Callable[[int], None] | None = None,
) -> Trace:
    """Return the trace in a file, gzipped or not; *form* is recognised if it is empty.

    It has all that is in *part*, and may have more. *tell* is called now and then, with
    how many bytes were read.

    TraceError: there is none, with the line and the rule. What a format leaves to
    chance is drawn by *seed*.
    """
    # What is no UTF-8 in a file's name could not be written into what is made of it.
    name = path.name.encode(errors="backslashreplace").decode()
    return parse(text.lines(path, tell), name, form, seed=seed, part=part)


def parse(
    lines: Iterable[str],
    name: str,
    form: str = "",
    *,
    seed: int = 1,
    part: Part = WHOLE,
) -> Trace:
    """Return the trace that *lines* are."""
    rest, head, said = iter(lines), [], []
    for line in rest:
        head.append(line)
        if line.strip() and not line.startswith("#"):
            said.append(line)
        if said or len(head) >= _HEAD:
            break
    if form and form not in FORMATS:
        raise TraceError(f"format {form!r}: must be one of {', '.join(FORMATS)}")
    names = [form] if form else [n for n, each in FORMATS.items() if each.fits(said)]
    if not said:
        raise TraceError(f"{name}: empty; a trace has at least one request")
    if not names:
        raise TraceError(
            f"{name}:{len(head)}: {said[0].strip()[:80]!r}; must begin as one of the "
            f"formats {', '.join(FORMATS)}; your own may be CSV with the columns "
            "minute and requests, or arrival_s (docs/traces.md)"
        )
    found = FORMATS[names[0]]
    if found.part is not None:
        return found.part(chain(head, rest), name, seed, part)
    return found.parse(chain(head, rest), name, seed)


def written(trace: Trace) -> Iterator[str]:
    """Yield the lines of *trace* in our own format."""
    return own.write(trace)
