"""The parts of a page: each yields HTML; what was said elsewhere is text in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from simulations.outcome import Front, Heat, Origin, Outcome
from simulations.page import svg
from simulations.summary import duration
from simulations.totals import Totals, totals

_HOUR_S = 3_600.0
_LEAST_S = 0.01


def title(origin: Origin) -> str:
    """Return the page's title."""
    return escape(f"fromzero: {origin.requests:,} requests simulated")


def head(outcomes: Sequence[Outcome], origin: Origin) -> Iterator[str]:
    """Yield what it comes to, in words."""
    ours = totals(outcomes[0])
    yield f"<h1>{escape(_headline(outcomes))}</h1>"
    yield f'<p class="lead">{escape(_waiting(ours))}</p>'
    yield (
        f'<p class="soft">Simulated: {origin.requests:,} requests in '
        f"{duration(origin.span_s)}, of {escape(origin.trace)}. The decisions are "
        "those of fromzero itself, made by the code that runs in production.</p>"
    )
    for remark in origin.remarks:
        yield f'<p class="soft">Note: {escape(remark)}.</p>'


def comparison(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the table of all outcomes."""
    found = [totals(each) for each in outcomes]
    yield '<h2>Side by side</h2><div class="wide"><table><thead><tr><th></th>'
    yield "".join(f'<th scope="col">{escape(each.name)}</th>' for each in outcomes)
    yield "</tr></thead><tbody>"
    for name, cells in rows(found, _unit(outcomes[0])):
        part = ' class="part"' if name.startswith(" ") else ""
        yield f"<tr><td{part}>{escape(name.strip())}</td>"
        yield "".join(f"<td>{escape(each)}</td>" for each in cells) + "</tr>"
    yield "</tbody></table></div>"


def rows(found: Sequence[Totals], unit: str) -> Iterator[tuple[str, list[str]]]:
    """Yield a table's rows: names, those of parts with spaces before, and cells."""

    def hours(values: Sequence[float]) -> list[str]:
        return [f"{value / _HOUR_S:,.2f}" for value in values]

    def share(counts: Sequence[int]) -> list[str]:
        return [
            f"{n:,} ({n / max(1, each.requests):.2%})" if n else "0"
            for n, each in zip(counts, found, strict=True)
        ]

    yield unit, hours([each.cost_s for each in found])
    yield "  loading", hours([each.loading_s for each in found])
    yield "  busy", hours([each.busy_s for each in found])
    yield "  idle", hours([each.idle_s for each in found])
    yield "  draining", hours([each.draining_s for each in found])
    yield "requests that found none ready", share([each.cold for each in found])
    yield "  waited though one was ready", share([each.delayed for each in found])
    yield "waited, half up to", [duration(each.p50_s) for each in found]
    yield "  95 of 100", [duration(each.p95_s) for each in found]
    yield "  99 of 100", [duration(each.p99_s) for each in found]
    yield "  longest", [duration(each.longest_s) for each in found]
    yield "turned away", share([each.rejected for each in found])
    yield "starts", [f"{each.starts:,}" for each in found]
    yield "replicas at once, at most", [f"{each.most:,}" for each in found]


def costs(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield a bar for each outcome, by what replicas' time went into."""
    found = [totals(each) for each in outcomes]
    most = max((each.cost_s for each in found), default=0.0) / _HOUR_S or 1.0
    height = 40.0 + 40.0 * len(found) + svg.BOTTOM
    x = svg.linear(0.0, most, svg.LEFT + 90, svg.WIDTH - svg.RIGHT)
    body = []
    for value in svg.ticks(0.0, most):
        at, bottom = x(value), height - svg.BOTTOM
        body.append(
            f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="10" y2="{bottom}"/>'
            + svg.text(at, bottom + 16, svg.number(value))
        )
    for place, (each, outcome) in enumerate(zip(found, outcomes, strict=True)):
        top, begin = 20.0 + 40.0 * place, 0.0
        body.append(svg.text(x(0.0) - 8, top + 17, outcome.name, "end", "name"))
        for part in ("loading", "busy", "idle", "draining"):
            value = getattr(each, f"{part}_s") / _HOUR_S
            low, high = x(begin), x(begin + value)
            body.append(
                f'<rect class="{part}" x="{low:.1f}" y="{top}" height="26" '
                f'width="{max(0.0, high - low):.1f}"><title>{part}: {value:,.2f} '
                "hours</title></rect>"
            )
            begin += value
    unit = _unit(outcomes[0])
    body.append(svg.text((x(0) + svg.WIDTH) / 2, height - 8, unit))
    said = "; ".join(
        f"{outcome.name} {each.cost_s / _HOUR_S:,.2f}"
        for each, outcome in zip(found, outcomes, strict=True)
    )
    yield "<h2>What the time went into</h2><p>All that a replica costs until it is "
    yield "gone: while it starts, answers, waits for requests, and stops. Loading and "
    yield "idle are what good settings save.</p><figure>"
    yield svg.drawing(f"{unit} by part", said, "".join(body), height)
    yield '<ul class="legend">'
    for part in ("loading", "busy", "idle", "draining"):
        yield (
            f'<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="{part}" '
            f'width="10" height="10"/></svg> {part}</li>'
        )
    yield "</ul></figure>"


def waits(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield how many waited longer than how long."""
    longest = max((s for each in outcomes for _, s in each.waits), default=0.0)
    yield "<h2>Who waited, and how long</h2>"
    if longest < _LEAST_S:
        yield "<p>Nobody waited in any of these runs.</p>"
        return
    high = max(1.0, longest * 1.3)
    x = svg.logarithmic(_LEAST_S, high, svg.LEFT, svg.WIDTH - svg.RIGHT)
    shares = [1 - share for each in outcomes for share, s in each.waits if s > _LEAST_S]
    most = max(shares, default=0.01) * 1.1
    y = svg.linear(0.0, most, svg.HEIGHT - svg.BOTTOM, svg.TOP)
    across = [(at, duration(at)) for at in svg.decades(_LEAST_S, high)]
    up = [(at, f"{at * 100:g} %") for at in svg.ticks(0.0, most)]
    body = svg.grid(x, y, across, up, ("waited longer than", "of requests"))
    for place, each in enumerate(outcomes):
        points = [
            (x(max(s, _LEAST_S)), y(min(most, 1 - share))) for share, s in each.waits
        ]
        if points:
            body += svg.line(points, place)
    said = "; ".join(f"{o.name}: {_waiting(totals(o))}" for o in outcomes)
    yield "<p>Each line falls from the share of requests that waited at all to those "
    yield "that waited longest: lower and further left is better.</p><figure>"
    yield svg.drawing("Share of requests that waited longer", said, body)
    yield _legend(outcomes) + "</figure>"


def search(front: Front, picked: Outcome) -> Iterator[str]:
    """Yield what was tried, and which of it is best."""
    points = front.points
    cost = [each.cost_s / _HOUR_S for each in points]
    wait = [max(each.wait_s, _LEAST_S) for each in points]
    x = svg.linear(min(cost) * 0.95, max(cost) * 1.05, svg.LEFT, svg.WIDTH - svg.RIGHT)
    high = max(1.0, max(wait) * 1.3)
    y = svg.logarithmic(_LEAST_S, high, svg.HEIGHT - svg.BOTTOM, svg.TOP)
    across = [(at, svg.number(at)) for at in svg.ticks(min(cost), max(cost))]
    up = [(at, duration(at)) for at in svg.decades(_LEAST_S, high)]
    unit = _unit(picked)
    body = svg.grid(x, y, across, up, (unit, "mean wait of a request"))
    named = 0
    for each, hours, longest in sorted(
        zip(points, cost, wait, strict=True),
        key=lambda p: (p[0].front, bool(p[0].name)),
    ):
        said = ", ".join(f"{k} {v}" for k, v in each.settings.items())
        about = f"{each.name or 'tried'}: {hours:,.2f} {unit}, {duration(each.wait_s)}"
        kind = "front" if each.front else "tried"
        size = 5 if each.front else 3.5
        body += (
            f'<circle class="{kind}" cx="{x(hours):.1f}" cy="{y(longest):.1f}" '
            f'r="{size}"><title>{escape(f"{about}; {said}")}</title></circle>'
        )
        if each.name:
            named += 1
            # Above and below in turns, and never on the axis' own title.
            above = named % 2 == 0 and y(longest) > svg.TOP + 30
            body += (
                f'<circle class="pick" cx="{x(hours):.1f}" cy="{y(longest):.1f}" '
                'r="9"/>'
                + svg.text(
                    x(hours),
                    y(longest) + (-13 if above else 24),
                    each.name,
                    name="name",
                )
            )
    yield f"<h2>What was tried</h2><p>{escape(front.verdict)}</p>"
    yield "<p>Each point is one choice of settings. Blue ones are the best for some "
    yield "wish: nothing that was tried costs less and waits less. Point at one to see "
    yield "its settings.</p><figure>"
    yield svg.drawing("Cost against waiting", front.verdict, body)
    yield "</figure>"
    if front.heat is not None:
        yield from _heat(front.heat, unit)


def over_time(outcomes: Sequence[Outcome], origin: Origin) -> Iterator[str]:
    """Yield where the script draws, and what there is without it."""
    options = "".join(
        f'<option value="{place}">{escape(each.name)}</option>'
        for place, each in enumerate(outcomes)
    )
    yield (
        '<div class="screen"><h2>Over time</h2><p>Drag over a chart to look closer, '
        "double-click to see all of it again, click to see what was decided then, and "
        f'why.</p><p><label>Of <select id="which">{options}</select></label> '
        '<button id="whole" type="button">all of the time</button></p>'
        '<div id="charts"></div>'
        '<h2>Decisions, and why</h2><p><label for="moment">At <strong id="when">'
        '</strong></label><input id="moment" type="range" min="0" '
        f'max="{origin.span_s:.0f}" step="1" value="0"></p>'
        '<ol class="moments" id="moments" aria-live="polite"></ol>'
        "<noscript><p>The charts over time need JavaScript; everything else is here."
        "</p></noscript></div>"
    )


def again(outcomes: Sequence[Outcome], origin: Origin) -> Iterator[str]:
    """Yield the settings, and how to have the same again."""
    names = list(outcomes[0].settings)
    yield '<h2>Settings</h2><div class="wide"><table><thead><tr><th></th>'
    yield "".join(f'<th scope="col">{escape(each.name)}</th>' for each in outcomes)
    yield "</tr></thead><tbody>"
    for name in names:
        cells = "".join(
            f"<td>{escape(each.settings.get(name, ''))}</td>" for each in outcomes
        )
        yield f"<tr><td>{escape(name)}</td>{cells}</tr>"
    yield "</tbody></table></div><h2>The same again</h2>"
    yield f"<pre>{escape(origin.command)}</pre><dl>"
    for name, value in (
        ("fromzero", origin.version),
        ("seed", str(origin.seed)),
        ("trace", origin.trace),
        ("its SHA-256", origin.digest),
    ):
        yield f"<dt>{name}</dt><dd><code>{escape(value)}</code></dd>"
    yield "</dl>"


def _heat(heat: Heat, unit: str) -> Iterator[str]:
    flat = [cost for row in heat.cost_s for cost in row]
    low, high = min(flat), max(flat)
    yield f"<h2>{escape(heat.across)} and {escape(heat.up)} together</h2>"
    yield f"<p>{unit}, and below it the mean wait of a request; the other settings "
    yield "are those of the pick. Darker costs more.</p>"
    columns, rows_ = len(heat.columns), len(heat.rows)
    width = (svg.WIDTH - svg.LEFT - svg.RIGHT) / columns
    tall = 44.0
    body = []
    for r in range(rows_):
        top = svg.TOP + tall * (rows_ - 1 - r)
        body.append(svg.text(svg.LEFT - 6, top + tall / 2 + 4, heat.rows[r], "end"))
        for c in range(columns):
            cost, wait = heat.cost_s[r][c], heat.wait_s[r][c]
            depth = 0.08 + 0.5 * ((cost - low) / (high - low) if high > low else 0.0)
            at = svg.LEFT + width * c
            body.append(
                f'<rect class="f0" fill-opacity="{depth:.2f}" x="{at:.1f}" y="{top}" '
                f'width="{width - 2:.1f}" height="{tall - 2}"/>'
                + svg.text(
                    at + width / 2, top + 18, f"{cost / _HOUR_S:,.1f}", "middle", "name"
                )
                + svg.text(at + width / 2, top + 34, duration(wait))
            )
    bottom = svg.TOP + tall * rows_
    for c, name in enumerate(heat.columns):
        body.append(svg.text(svg.LEFT + width * (c + 0.5), bottom + 14, name))
    body.append(svg.text(svg.WIDTH / 2, bottom + 34, heat.across))
    body.append(svg.text(4, svg.TOP - 3, heat.up, "start"))
    said = f"{heat.across} against {heat.up}"
    yield "<figure>" + svg.drawing(said, said, "".join(body), bottom + 42) + "</figure>"


def _headline(outcomes: Sequence[Outcome]) -> str:
    ours, unit = totals(outcomes[0]), _unit(outcomes[0])
    said = f"{outcomes[0].name.capitalize()} would have cost "
    said += f"{ours.cost_s / _HOUR_S:,.1f} {unit}"
    against = []
    for each in outcomes[1:]:
        theirs = totals(each)
        if not theirs.cost_s:
            continue
        less = 1 - ours.cost_s / theirs.cost_s
        word = "less" if less >= 0 else "more"
        name = "the defaults of Knative" if each.name == "Knative's" else each.name
        against.append(f"{abs(less):.0%} {word} than {name}")
    return said + (", " + " and ".join(against) if against else "")


def _waiting(found: Totals) -> str:
    if not found.cold:
        said = "No request waited for a start"
    else:
        said = (
            f"1 in {found.requests / found.cold:,.0f} requests found no replica ready"
            if found.cold * 3 < found.requests
            else f"{found.cold_share:.0%} of requests found no replica ready"
        )
    return f"{said}; 99 of 100 waited {duration(found.p99_s)} or less."


def _legend(outcomes: Sequence[Outcome]) -> str:
    marks = "".join(
        f'<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="f{place % 6}" '
        f'width="10" height="10"/></svg> {escape(each.name)}</li>'
        for place, each in enumerate(outcomes)
    )
    return f'<ul class="legend">{marks}</ul>'


def _unit(outcome: Outcome) -> str:
    return "GPU-hours" if outcome.gpus else "replica-hours"
