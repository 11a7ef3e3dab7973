"""What a search has tried, as a page shows it: cost against waiting, two settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from simulations.outcome import Front, Heat, Outcome, Point
from simulations.page import svg
from simulations.page.parts import unit

_HOUR_S = 3_600.0
_LEAST_S = 0.01
_LETTER = 6.6
"""Pixels that a letter of a label takes, about."""

Box = tuple[float, float, float, float]


def search(front: Front, picked: Outcome) -> Iterator[str]:
    """Yield what was tried, and which of it is best."""
    counted = unit(picked)
    yield f"<h2>What was tried</h2><p>{escape(front.verdict)}</p>"
    yield "<p>Each point is one choice of settings: further left costs less, further "
    yield "down waits less. The line joins the best of them: nothing that was tried "
    yield "costs less and waits less. Point at one to see its settings.</p>"
    if any(each.sure for each in front.points):
        yield "<p>The arms of its cross say how sure a point is: with the hours of "
        yield "this part drawn anew it stays within each of them 95 times of 100. All "
        yield "points meet the same hours and move together, so one may be better "
        yield "though crosses overlap.</p>"
    yield "<figure>"
    said = f"{len(front.points)} choices of settings. {front.verdict}"
    yield svg.drawing(
        "Cost against waiting",
        said,
        "".join(_scatter(front.points, picked.name, counted)),
    )
    yield '<ul class="legend">'
    for kind, meaning in (
        ("front", "best for some wish"),
        ("tried", "another does better in both"),
    ):
        yield (
            '<li><svg viewBox="0 0 10 10" aria-hidden="true">'
            f'<circle class="{kind}" cx="5" cy="5" r="4"/></svg> {meaning}</li>'
        )
    if any(each.sure for each in front.points):
        yield (
            '<li><svg viewBox="0 0 10 10" aria-hidden="true">'
            '<path class="sure" d="M0 5H10M5 0V10"/></svg> '
            "where 95 of 100 draws of hours lie</li>"
        )
    yield "</ul></figure>"
    yield from _table(front.points, counted)
    if front.heat is not None:
        yield from _heat(front.heat, counted)


def place(
    x: float, y: float, said: str, taken: Sequence[Box]
) -> tuple[float, float, Box]:
    """Return where a label of a point at (x, y) begins, and what it covers.

    Beside or above the point, wherever nothing is yet; on top of something if there
    is no such place.

    >>> above = (0.0, 0.0, 720.0, 92.0)
    >>> place(300.0, 100.0, "a", ())[:2], place(300.0, 100.0, "a", (above,))[:2]
    ((296.7, 87.0), (313.0, 104.0))
    """
    width = _LETTER * len(said)
    spots = [
        (x - width / 2, y - 13),
        (x + 13, y + 4),
        (x - 13 - width, y + 4),
        (x - width / 2, y + 24),
        (x + 13, y + 20),
        (x + 13, y - 12),
        (x - 13 - width, y + 20),
    ]
    boxes = [(left, base - 11, left + width, base + 4) for left, base in spots]
    free = [
        n
        for n, box in enumerate(boxes)
        if box[0] >= svg.LEFT
        and box[2] <= svg.WIDTH
        and box[1] >= svg.TOP
        and box[3] <= svg.HEIGHT - svg.BOTTOM
        and not any(_meet(box, other) for other in taken)
    ]
    best = free[0] if free else 0
    return (*spots[best], boxes[best])


def _scatter(points: Sequence[Point], picked: str, counted: str) -> Iterator[str]:
    cost = [each.cost_s / _HOUR_S for each in points]
    shown = [(each, each.sure) for each in points if each.front or each.name]
    ends = [hours / _HOUR_S for _, sure in shown if sure for hours in sure.cost_s]
    low, high = min(*cost, *ends, cost[0]), max(*cost, *ends, cost[0])
    margin = (high - low) * 0.05 or 1.0
    left, right = max(0.0, low - margin), high + margin
    waits = [each.wait_s for each in points]
    waits += [sure.wait_s[1] for _, sure in shown if sure]
    longest = max(1.0, max(waits) * 2)
    x = svg.linear(left, right, svg.LEFT + 12, svg.WIDTH - svg.RIGHT - 12)
    y = svg.logarithmic(_LEAST_S, longest, svg.HEIGHT - svg.BOTTOM - 12, svg.TOP + 16)
    across = [(at, svg.number(at)) for at in svg.ticks(left, right)]
    up = [
        (at, ("≤ " if at == _LEAST_S else "") + svg.spell(at))
        for at in svg.times(_LEAST_S, longest)
    ]
    yield svg.grid(x, y, across, up, (counted, "mean wait (logarithmic)"))
    spots = [(x(hours), y(p.wait_s)) for hours, p in zip(cost, points, strict=True)]
    edge = sorted(spot for spot, p in zip(spots, points, strict=True) if p.front)
    if len(edge) > 1:
        path = "L".join(f"{h:.1f} {v:.1f}" for h, v in edge)
        yield f'<path class="edge" d="M{path}"/>'
    for (h, v), p in zip(spots, points, strict=True):
        if p.sure and (p.front or p.name):
            (x0, x1), (y0, y1) = p.sure.cost_s, p.sure.wait_s
            yield (
                f'<path class="sure" d="M{x(x0 / _HOUR_S):.1f} {v:.1f}'
                f'H{x(x1 / _HOUR_S):.1f}M{h:.1f} {y(y0):.1f}V{y(y1):.1f}"/>'
            )
    marked = sorted(zip(points, spots, strict=True), key=lambda each: each[0].front)
    for each, (h, v) in marked:
        kind, size = ("front", 5.0) if each.front else ("tried", 3.5)
        yield (
            f'<circle class="{kind}" cx="{h:.1f}" cy="{v:.1f}" r="{size}">'
            f"<title>{escape(_about(each, counted))}</title></circle>"
        )
    taken: list[Box] = [
        (h - size, v - size, h + size, v + size)
        for each, (h, v) in marked
        for size in ([9.0] if each.name else [5.0] if each.front else [])
    ]
    for each, (h, v) in marked:
        if each.name:
            begin, base, box = place(h, v, each.name, taken)
            taken.append(box)
            kind = "pick" if each.name == picked else "named"
            yield f'<circle class="{kind}" cx="{h:.1f}" cy="{v:.1f}" r="9"/>'
            yield svg.text(begin, base, each.name, "start", "name")


def _meet(one: Box, other: Box) -> bool:
    across = one[0] < other[2] and other[0] < one[2]
    return across and one[1] < other[3] and other[1] < one[3]


def _about(point: Point, counted: str) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in point.settings.items())
    cost, wait = _figures(point)
    return (
        f"{point.name or 'tried'}: {cost} {counted}, mean wait {wait}, "
        f"{point.cold:.2%} found none ready; {settings}"
    )


def _figures(point: Point) -> tuple[str, str]:
    """Return cost and wait, each with where 95 of 100 draws lie if that is known."""
    cost, wait = f"{point.cost_s / _HOUR_S:,.2f}", svg.spell(point.wait_s)
    if point.sure is None:
        return cost, wait
    (low, high), (short, long) = point.sure.cost_s, point.sure.wait_s
    return (
        f"{cost} ({low / _HOUR_S:,.2f} to {high / _HOUR_S:,.2f})",
        f"{wait} ({svg.spell(short)} to {svg.spell(long)})",
    )


def _table(points: Sequence[Point], counted: str) -> Iterator[str]:
    """Yield the best and the named, with the settings in which they differ."""
    shown = sorted(
        (each for each in points if each.front or each.name),
        key=lambda each: (each.cost_s, each.wait_s),
    )
    names = [
        name
        for name in points[0].settings
        if len({each.settings.get(name, "") for each in shown}) > 1
    ]
    yield "<details><summary>The best of them as a table</summary>"
    yield '<div class="wide"><table><thead><tr><td></td>'
    heads = (counted, "mean wait", "found none ready", *names)
    yield "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    yield "</tr></thead><tbody>"
    for each in shown:
        cells = (
            *_figures(each),
            f"{each.cold:.2%}",
            *(each.settings.get(name, "") for name in names),
        )
        yield f'<tr><th scope="row">{escape(each.name)}</th>'
        yield "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
    yield "</tbody></table></div></details>"


def _heat(heat: Heat, counted: str) -> Iterator[str]:
    flat = [cost for row in heat.cost_s for cost in row]
    low, high = min(flat), max(flat)
    yield f"<h2>{escape(heat.across)} and {escape(heat.up)} together</h2>"
    yield f"<p>In each field, {counted}, and below them the mean wait of a request; "
    yield "the other settings are those of the pick. The stronger the colour, the more "
    yield "it costs.</p><figure>"
    width = (svg.WIDTH - svg.LEFT - svg.RIGHT) / len(heat.columns)
    tall, top = 44.0, svg.TOP + 8
    body = []
    for r, name in enumerate(heat.rows):
        begin = top + tall * (len(heat.rows) - 1 - r)
        body.append(svg.text(svg.LEFT - 6, begin + tall / 2 + 4, name, "end"))
        for c, column in enumerate(heat.columns):
            cost, wait = heat.cost_s[r][c], heat.wait_s[r][c]
            depth = 0.08 + 0.5 * ((cost - low) / (high - low) if high > low else 0.0)
            at = svg.LEFT + width * c
            hours, waited = f"{cost / _HOUR_S:,.1f}", svg.spell(wait)
            about = (
                f"{heat.across} {column}, {heat.up} {name}: {hours} {counted}, "
                f"mean wait {waited}"
            )
            body.append(
                f'<g><title>{escape(about)}</title><rect class="f0" '
                f'fill-opacity="{depth:.2f}" x="{at:.1f}" y="{begin}" '
                f'width="{width - 2:.1f}" height="{tall - 2}"/>'
                + svg.text(at + width / 2, begin + 18, hours, name="name strong")
                + svg.text(at + width / 2, begin + 34, waited, name="name")
                + "</g>"
            )
    bottom = top + tall * len(heat.rows)
    for c, column in enumerate(heat.columns):
        body.append(svg.text(svg.LEFT + width * (c + 0.5), bottom + 14, column))
    body.append(svg.text(svg.WIDTH / 2, bottom + 34, heat.across))
    body.append(svg.text(4, svg.TOP, heat.up, "start"))
    said = f"{heat.across} against {heat.up}: {counted} and mean wait"
    yield svg.drawing(said, said, "".join(body), bottom + 42) + "</figure>"
