"""Charts as SVG, drawn once: axes with even numbers, lines, bars and points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from math import ceil, floor, log10

from simulations.summary import duration

WIDTH, HEIGHT = 720.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 16.0, 14.0, 44.0

_TIMES = (0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3_600.0, 36_000.0, 360_000.0)

Scale = Callable[[float], float]


def linear(low: float, high: float, begin: float, end: float) -> Scale:
    """Map [low, high] to [begin, end] evenly."""
    width = (high - low) or 1.0
    return lambda value: begin + (value - low) / width * (end - begin)


def logarithmic(low: float, high: float, begin: float, end: float) -> Scale:
    """Map [low, high], above 0, to [begin, end] by their logarithms."""
    even = linear(log10(low), log10(high), begin, end)
    return lambda value: even(log10(max(value, low)))


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Return even numbers between two: 1, 2 or 5 times a power of ten apart.

    >>> ticks(0, 47)
    [0.0, 10.0, 20.0, 30.0, 40.0]
    """
    if high <= low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** floor(log10(rough))
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough)
    first = ceil(low / step - 1e-9)
    last = floor(high / step + 1e-9)
    return [round(step * n, 12) for n in range(first, last + 1)]


def times(low: float, high: float) -> list[float]:
    """Return round times between two, for a logarithmic axis.

    >>> times(0.05, 100)
    [0.1, 1.0, 10.0, 60.0]
    """
    return [at for at in _TIMES if low * 0.999 <= at <= high * 1.001]


def spell(seconds: float) -> str:
    """Return a time for a person.

    >>> spell(0.01), spell(37.25), spell(600.0)
    ('10ms', '37.2s', '10min')
    """
    if 0.0 < seconds < 1.0:
        return f"{seconds * 1000:.3g}ms"
    return "1min" if seconds == 60.0 else duration(seconds)


def number(value: float) -> str:
    """Return a number for an axis.

    >>> number(0.001), number(2500.0), number(0.0)
    ('0.001', '2,500', '0')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


def text(x: float, y: float, said: str, anchor: str = "middle", name: str = "") -> str:
    """Write *said* there."""
    kind = f' class="{name}"' if name else ""
    where = f'x="{x:.1f}" y="{y:.1f}"'
    return f'<text {where} text-anchor="{anchor}"{kind}>{escape(said)}</text>'


def grid(
    x: Scale,
    y: Scale,
    across: Iterable[tuple[float, str]],
    up: Iterable[tuple[float, str]],
    titles: tuple[str, str],
    height: float = HEIGHT,
) -> str:
    """Draw both axes, with a line for each tick."""
    bottom, right = height - BOTTOM, WIDTH - RIGHT
    made = []
    for value, said in across:
        at = x(value)
        made.append(
            f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}"/>'
            + text(at, bottom + 16, said)
        )
    for value, said in up:
        at = y(value)
        made.append(
            f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>'
            + text(LEFT - 6, at + 4, said, "end")
        )
    made.append(text((LEFT + right) / 2, height - 8, titles[0]))
    made.append(text(4, TOP - 2, titles[1], "start"))
    return "".join(made)


def line(points: Sequence[tuple[float, float]], number: int) -> str:
    """Draw a line through *points* in the colour of that number."""
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="line s{number % 6}" d="M{path}"/>'


def drawing(title: str, described: str, body: str, height: float = HEIGHT) -> str:
    """Wrap a drawing, with what it says for those who cannot see it."""
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {height:g}" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(described)}</desc>{body}</svg>"
    )
