"""`fromzero trace`: recorded requests, looked at, converted, thinned, cut and made."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoscaler.quantity import number, seconds
from fromzero.errors import CommandError
from fromzero.files import ready, write
from fromzero.printable import printable

if TYPE_CHECKING:
    from simulations.trace import Trace

app = typer.Typer(
    help="Recorded requests: what they are like, and others made of them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

_LARGE = 16 << 20
"""Bytes that take more than a moment to read."""

Given = Annotated[Path, typer.Argument(metavar="IN", help="A trace of any format.")]
Made = Annotated[
    Path, typer.Argument(metavar="OUT", help="Where to write; -: the screen.")
]
Form = Annotated[
    str, typer.Option("--format", metavar="NAME", help="Of IN [recognised].")
]
Only = Annotated[
    str, typer.Option("--model", metavar="NAME", help="Only its requests [all].")
]
Begin = Annotated[
    str, typer.Option("--from", metavar="TIME", help="From there on [the begin].")
]
End = Annotated[
    str, typer.Option("--to", metavar="TIME", help="Until there [the end].")
]
Seed = Annotated[int, typer.Option(help="What chance begins with.")]


def span(text: str) -> float:
    """Return the seconds of a duration as 90s, 10m, 7d; CommandError: it is none."""
    days = number(text[:-1]) if text.endswith("d") else None
    found = seconds(text) if days is None else days * 86_400.0
    if found is None or found < 0:
        raise CommandError(f"{text!r}: must be a duration, as 90s, 10m, 36h or 7d")
    return found


@contextmanager
def told() -> Iterator[None]:
    """Have what is wrong with a trace end the command in one line."""
    from simulations.trace import TraceError

    try:
        yield
    except TraceError as error:
        raise CommandError(str(error)) from error


def opened(
    path: Path, form: str = "", seed: int = 1, part: Mapping[str, str] | None = None
) -> Trace:
    """Return the trace in a file, or *part* of it; CommandError: there is none.

    A part is of one `model`, `begin` and `end`, as durations, as far as they are said.
    """
    from simulations import edit
    from simulations.formats.known import read
    from simulations.formats.reader import Part

    said = {name: text for name, text in (part or {}).items() if text}
    begin_s, model = span(said.get("begin", "0s")), said.get("model", "")
    end_s = span(said["end"]) if "end" in said else inf
    wanted = Part(model=model, begin_s=begin_s, end_s=end_s)
    with told(), _shown(path) as tell:
        trace = read(path, form, seed=seed, part=wanted, tell=tell)
        if model:
            trace = edit.only(trace, model)
        if "begin" in said or "end" in said:
            trace = edit.slice_(trace, begin_s, min(end_s, trace.span_s))
        if not len(trace):
            raise CommandError(f"{path}: no request in the part that is asked for")
        return trace


@app.command()
def summarize(
    file: Given,
    model: Only = "",
    begin: Begin = "",
    end: End = "",
    form: Form = "",
    seed: Seed = 1,
) -> None:
    """Say what a trace is like: rates, bursts, and how long it is idle."""
    from simulations.summary import lines

    part = {"model": model, "begin": begin, "end": end}
    for line in lines(opened(file, form, seed, part)):
        print(printable(line))


@app.command()
def convert(
    file: Given,
    made: Made,
    jitter: Annotated[
        str,
        typer.Option(metavar="TIME", help="Move each request on by up to this [0s]."),
    ] = "0s",
    form: Form = "",
    seed: Seed = 1,
) -> None:
    """Write a trace of any format as fromzero reads it."""
    from simulations import edit

    whole, moved_s = opened(file, form, seed), span(jitter)
    _write(edit.jitter(whole, moved_s, seed=seed) if moved_s else whole, made, file)


@app.command()
def thin(
    file: Given,
    made: Made,
    factor: Annotated[float, typer.Option(help="Keep one request in so many.")],
    form: Form = "",
    seed: Seed = 1,
) -> None:
    """Keep some of the requests, drawn by chance: a rarer model of the same kind."""
    from simulations import edit

    whole = opened(file, form, seed)
    with told():
        kept = edit.thin(whole, factor, seed=seed)
    if not len(kept):
        raise CommandError(
            f"--factor {factor:g}: none of {len(whole):,} requests is left; take a "
            "smaller one, or another --seed"
        )
    _write(kept, made, file)


@app.command("slice")
def slice_(
    file: Given,
    made: Made,
    model: Only = "",
    begin: Begin = "",
    end: End = "",
    form: Form = "",
    seed: Seed = 1,
) -> None:
    """Keep the requests of a stretch of time, or of one model."""
    part = {"model": model, "begin": begin, "end": end}
    _write(opened(file, form, seed, part), made, file)


@app.command()
def merge(
    files: Annotated[list[Path], typer.Argument(metavar="IN…")],
    made: Annotated[Path, typer.Option("--out", metavar="OUT")],
    form: Form = "",
    seed: Seed = 1,
) -> None:
    """Put traces in one, as far apart as they say that they began."""
    from simulations import edit

    with told():
        _write(edit.merge([opened(each, form, seed) for each in files]), made, *files)


@app.command()
def generate(
    made: Made,
    shape: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="poisson, diurnal, bursts, on-off, weibull or gamma."
        ),
    ] = "poisson",
    rate: Annotated[float, typer.Option(help="Requests/s, the mean.")] = 0.1,
    length: Annotated[str, typer.Option(metavar="TIME")] = "1d",
    cv: Annotated[
        float, typer.Option(help="Of gaps: their standard deviation over their mean.")
    ] = 4.0,
    on: Annotated[
        str, typer.Option(metavar="TIME", help="Mean length of a burst.")
    ] = "10m",
    off: Annotated[
        str, typer.Option(metavar="TIME", help="Mean time between bursts.")
    ] = "50m",
    peak: Annotated[
        float, typer.Option(help="Rate in a burst over that between.")
    ] = 10.0,
    service: Annotated[
        str, typer.Option(metavar="TIME", help="Mean time at a replica [not known].")
    ] = "",
    input_tokens: Annotated[float, typer.Option(help="Mean; 0: not known.")] = 0.0,
    output_tokens: Annotated[float, typer.Option(help="Mean; 0: not known.")] = 0.0,
    model: Annotated[str, typer.Option(metavar="NAME")] = "model",
    seed: Seed = 1,
) -> None:
    """Make a trace; the same seed makes the same one."""
    from simulations.shapes import Shape, Sizes
    from simulations.shapes import made as drawn

    how = Shape(
        kind=shape,
        rate=rate,
        span_s=span(length),
        cv=cv,
        on_s=span(on),
        off_s=span(off),
        peak=peak,
    )
    sizes = Sizes(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        service_s=span(service) if service else 0.0,
    )
    with told():
        _write(drawn(how, sizes, model=model, seed=seed), made)


@contextmanager
def _shown(path: Path) -> Iterator[Callable[[int], None] | None]:
    """Show on a terminal how far a large file was read; what is yielded is told."""
    size = path.stat().st_size if path.is_file() else 0
    if size < _LARGE or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(printable(path.name)), total=size)
        yield lambda read: bar.update(task, completed=read)


def _write(trace: Trace, to: Path, *read: Path) -> None:
    """Write *trace*, which comes from the files that were *read*, and say so."""
    from simulations.formats.known import written
    from simulations.summary import duration

    for remark in trace.remarks:
        print(printable(f"note: {remark}"), file=sys.stderr)
    if str(to) == "-":
        sys.stdout.writelines(written(trace))
        return
    ready(to, read)
    write(to, written(trace))
    print(printable(f"{to}: {len(trace):,} requests in {duration(trace.span_s)}"))
