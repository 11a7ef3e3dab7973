"""The parts of a page: each yields HTML; what was said elsewhere is text in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from simulations.outcome import Origin, Outcome
from simulations.page import svg
from simulations.page.data import length
from simulations.summary import duration
from simulations.totals import Totals, compared, totals

_HOUR_S = 3_600.0
_LEAST_S = 0.01
_PARTS = "loading", "busy", "idle", "draining", "unused"
"""What is paid, by the names of the fields of Totals and of the page's styles."""

_ABOUT = {
    "the pick": "<em>the pick</em> has the settings that the search has chosen",
    "these settings": "<em>these settings</em> are those of the documents",
    "Knative's": "<em>Knative's</em> are the defaults of Knative for the same replicas",
    "always on": "<em>always on</em> never sleeps",
}
_ROWS = (
    (
        "GPU-hours, replica-hours",
        "what is paid: each replica from its launch until it is gone, times its GPUs "
        "if it has any",
    ),
    ("loading", "from launch to ready: nobody is answered yet"),
    ("busy", "at least one request in flight"),
    ("idle", "ready, and nothing to do"),
    ("draining", "told to stop, and not gone yet"),
    (
        "found none ready",
        "requests that came while no replica was: those that meet a cold start",
    ),
    ("waited", "from arrival until sent to a replica, of all that were answered"),
    (
        "turned away",
        "answered with an error, because the queue or the wait was too long",
    ),
    ("starts", "replicas launched, whether or not they came to be ready"),
)
_LOST_ROW = (
    "left, or lost with a replica",
    "had no whole answer when their patience ended, or when their replica broke",
)
_RETRY_ROW = (
    "tried again before",
    "attempts that were not answered, whose clients made them again; only what their "
    "last attempt came to is counted above",
)
_NODE_ROWS = (
    (
        "unused",
        "of nodes that may be added, so that they are paid from when they are asked "
        "for: no replica was on it",
    ),
    ("waited for a place", "starts for which no node had enough free GPUs"),
    (
        "GPU-hours of nodes",
        "of all nodes, whether or not replicas were on them",
    ),
    ("images pulled", "to nodes that did not have them"),
)


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
        f"{duration(origin.span_s)} ({escape(origin.trace)}); a start takes "
        f"{escape(origin.start)}. What decides by these settings is the code that runs "
        "in production.</p>"
    )
    for remark in origin.remarks:
        yield f'<p class="soft">Note: {escape(remark)}.</p>'


def part_of(outcomes: Sequence[Outcome], origin: Origin, *, held_back: bool) -> str:
    """Return which part of the trace is shown, if it is not all of it."""
    span = length(outcomes, origin)
    if span >= origin.span_s * 0.999:
        return ""
    which = "were not used for choosing" if held_back else "were run"
    return f"the {duration(span)} of the trace that {which}"


def comparison(outcomes: Sequence[Outcome], part: str = "") -> Iterator[str]:
    """Yield the table of all outcomes, which are of *part* of the trace, or of all."""
    found = [totals(each) for each in outcomes]
    about = "; ".join(_ABOUT[o.name] for o in outcomes if o.name in _ABOUT)
    said = "Each column is one run of the same requests"
    said += (f", those of {part}" if part else "") + (f": {about}" if about else "")
    yield f"<h2>Side by side</h2><p>{said}.</p>"
    yield '<div class="wide"><table><thead><tr><td></td>'
    yield "".join(f'<th scope="col">{escape(each.name)}</th>' for each in outcomes)
    yield "</tr></thead><tbody>"
    for name, cells in rows(found, unit(outcomes[0])):
        part = ' class="part"' if name.startswith(" ") else ""
        yield f'<tr><th scope="row"{part}>{escape(name.strip())}</th>'
        yield "".join(f"<td>{escape(each)}</td>" for each in cells) + "</tr>"
    yield "</tbody></table></div><details><summary>What the rows mean</summary><dl>"
    known = list(_ROWS)
    if any(each.lost for each in found):
        known.append(_LOST_ROW)
    if any(each.retries for each in found):
        known.append(_RETRY_ROW)
    if any(each.nodes is not None for each in found):
        known += _NODE_ROWS
    for name, meaning in known:
        yield f"<dt>{name}</dt><dd>{meaning}</dd>"
    yield "</dl></details>"


def rows(found: Sequence[Totals], counted: str) -> Iterator[tuple[str, list[str]]]:
    """Yield a table's rows: names, those of parts with spaces before, and cells."""

    def hours(values: Sequence[float]) -> list[str]:
        return [f"{value / _HOUR_S:,.2f}" for value in values]

    def share(counts: Sequence[int]) -> list[str]:
        return [
            f"{n:,} ({n / max(1, each.requests):.2%})" if n else "0"
            for n, each in zip(counts, found, strict=True)
        ]

    yield counted, hours([each.cost_s for each in found])
    yield "  loading", hours([each.loading_s for each in found])
    yield "  busy", hours([each.busy_s for each in found])
    yield "  idle", hours([each.idle_s for each in found])
    yield "  draining", hours([each.draining_s for each in found])
    if any(each.unused_s for each in found):
        yield "  unused", hours([each.unused_s for each in found])
    yield "requests that found none ready", share([each.cold for each in found])
    yield "  waited though one was ready", share([each.delayed for each in found])
    yield "waited, half up to", [duration(each.p50_s) for each in found]
    yield "  95 of 100", [duration(each.p95_s) for each in found]
    yield "  99 of 100", [duration(each.p99_s) for each in found]
    yield "  longest", [duration(each.longest_s) for each in found]
    yield "turned away", share([each.rejected for each in found])
    if any(each.lost for each in found):
        yield "left, or lost with a replica", share([each.lost for each in found])
    if any(each.retries for each in found):
        yield "  tried again before", [f"{each.retries:,}" for each in found]
    yield "starts", [f"{each.starts:,}" for each in found]
    yield "replicas at once, at most", [f"{each.most:,}" for each in found]
    nodes = [each.nodes for each in found if each.nodes is not None]
    if nodes and len(nodes) == len(found):
        yield "starts that waited for a place", [f"{each.unplaced:,}" for each in found]
        yield "  longest", [duration(each.unplaced_max_s) for each in found]
        yield "nodes at once, at most", [f"{each.most:,}" for each in nodes]
        yield "  added", [f"{each.added:,}" for each in nodes]
        if not any(each.paid for each in nodes):
            yield "GPU-hours of nodes", hours([each.gpu_s for each in nodes])
        yield "images pulled", [f"{each.pulled:,}" for each in nodes]


def costs(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield a bar for each outcome, by what replicas' time went into."""
    found = [totals(each) for each in outcomes]
    most = max((each.cost_s for each in found), default=0.0) / _HOUR_S or 1.0
    height = 40.0 + 40.0 * len(found) + svg.BOTTOM
    x = svg.linear(0.0, most, svg.LEFT + 90, svg.WIDTH - svg.RIGHT - 50)
    body = []
    shown = _PARTS if any(each.unused_s for each in found) else _PARTS[:-1]
    for value in svg.ticks(0.0, most):
        at, bottom = x(value), height - svg.BOTTOM
        body.append(
            f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="10" y2="{bottom}"/>'
            + svg.text(at, bottom + 16, svg.number(value))
        )
    for place, (each, outcome) in enumerate(zip(found, outcomes, strict=True)):
        top, begin = 20.0 + 40.0 * place, 0.0
        body.append(svg.text(x(0.0) - 8, top + 17, outcome.name, "end", "name"))
        for part in shown:
            value = getattr(each, f"{part}_s") / _HOUR_S
            low, high = x(begin), x(begin + value)
            body.append(
                f'<rect class="{part}" x="{low:.1f}" y="{top}" height="26" '
                f'width="{max(0.0, high - low):.1f}"><title>{part}: {value:,.2f} '
                f"hours, {value / (each.cost_s / _HOUR_S or 1.0):.0%}</title></rect>"
            )
            begin += value
        body.append(svg.text(x(begin) + 6, top + 17, f"{begin:,.1f}", "start", "name"))
    body.append(svg.text((x(0) + svg.WIDTH) / 2, height - 8, unit(outcomes[0])))
    said = "; ".join(
        f"{outcome.name} {each.cost_s / _HOUR_S:,.2f}"
        for each, outcome in zip(found, outcomes, strict=True)
    )
    yield "<h2>What the time went into</h2><p>All that a replica costs until it is "
    yield "gone: while it starts, answers, waits for requests, and stops. Loading and "
    yield "idle are what good settings save."
    if len(shown) == len(_PARTS):
        yield " Unused is what nodes cost on which there is no replica."
    yield "</p><figure class='fits'>"
    yield svg.drawing(f"{unit(outcomes[0])} by part", said, "".join(body), height)
    yield '<ul class="legend">'
    for part in shown:
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
    lines = [_exceeding(each) for each in outcomes]
    most = max((line[0][1] for line in lines if line), default=0.01) * 1.1 or 0.01
    y = svg.linear(0.0, most, svg.HEIGHT - svg.BOTTOM, svg.TOP)
    across = [(at, svg.spell(at)) for at in svg.times(_LEAST_S, high)]
    up = [(at, f"{at * 100:g}%") for at in svg.ticks(0.0, most)]
    titles = "waited longer than (logarithmic)", "share of requests"
    body = svg.grid(x, y, across, up, titles)
    for place, each in enumerate(lines):
        body += svg.line([(x(seconds), y(share)) for seconds, share in each], place)
    said = "; ".join(f"{o.name}: {_waiting(totals(o))}" for o in outcomes)
    yield "<p>Each line falls from the share of requests that waited at all to those "
    yield "that waited longest: lower and further left is better. Where it ends is the "
    yield "longest wait.</p><figure class='fits'>"
    yield svg.drawing("Share of requests that waited longer", said, body)
    yield _legend(outcomes) + "</figure>"


def over_time(
    outcomes: Sequence[Outcome], origin: Origin, part: str = ""
) -> Iterator[str]:
    """Yield where the script draws, and what there is without it."""
    options = "".join(
        f'<option value="{place}">{escape(each.name)}</option>'
        for place, each in enumerate(outcomes)
    )
    span = length(outcomes, origin)
    yield (
        '<section aria-label="Over time"><h2>Over time</h2>'
        "<p>What came, and how many replicas there were for it. Replicas that stay "
        "after the requests have gone cost; requests are held where there is none. "
        '<span class="screen">Drag over a chart to look closer, click to see what was '
        "decided then.</span></p>"
        + (f"<p>Time counts from the begin of {part}.</p>" if part else "")
        + f'<p class="screen tools"><label>Of <select id="which">{options}</select>'
        "</label> "
    )
    for name, said in (
        ("earlier", "earlier"),
        ("later", "later"),
        ("closer", "closer"),
        ("wider", "wider"),
        ("whole", "all of the time"),
    ):
        yield f'<button id="{name}" type="button">{said}</button> '
    yield (
        '</p><p class="soft" id="range" aria-live="polite"></p>'
        '<div id="charts"></div></section>'
        '<section class="screen" aria-label="Decisions"><h2>Decisions, and why</h2>'
        '<p>At <strong id="when"></strong> (the line in the charts): the last decision '
        "that changed something, those before it, and the next ones.</p>"
        '<p class="tools"><button id="before" type="button">decision before</button> '
        '<button id="next" type="button">next decision</button></p>'
        '<p><input id="moment" type="range" aria-label="Moment" min="0" '
        f'max="{span:.9g}" step="{span / 1000:.6g}" '
        'value="0"></p><ol class="moments" id="moments" aria-live="polite"></ol>'
        '<p class="soft" id="cut"></p></section>'
        "<noscript><p>The charts over time need JavaScript; everything else is here."
        "</p></noscript>"
    )


def again(outcomes: Sequence[Outcome], origin: Origin) -> Iterator[str]:
    """Yield the settings, and how to have the same again."""
    names = list(outcomes[0].settings)
    yield "<h2>Settings</h2><p>Those in bold are not the same everywhere.</p>"
    yield '<div class="wide"><table><thead><tr><td></td>'
    yield "".join(f'<th scope="col">{escape(each.name)}</th>' for each in outcomes)
    yield "</tr></thead><tbody>"
    for name in names:
        cells = "".join(
            f"<td>{escape(each.settings.get(name, ''))}</td>" for each in outcomes
        )
        same = len({each.settings.get(name, "") for each in outcomes}) == 1
        kind = "" if same else ' class="differs"'
        yield f'<tr{kind}><th scope="row">{escape(name)}</th>{cells}</tr>'
    yield "</tbody></table></div><h2>The same again</h2><p>The same command on the "
    yield "same trace gives the same figures, to the last digit.</p>"
    yield f"<pre>{escape(origin.command)}</pre><dl>"
    for name, value in (
        ("fromzero", origin.version),
        ("seed", str(origin.seed)),
        ("trace", origin.trace),
        ("its SHA-256", origin.digest),
    ):
        yield f"<dt>{name}</dt><dd><code>{escape(value)}</code></dd>"
    yield "</dl>"


def _headline(outcomes: Sequence[Outcome]) -> str:
    ours = totals(outcomes[0])
    said = f"{outcomes[0].name.capitalize()} would have cost "
    said += f"{ours.cost_s / _HOUR_S:,.1f} {unit(outcomes[0])}"
    against = []
    for each in outcomes[1:]:
        theirs = totals(each)
        # Other policies have their columns; all of them would be no headline.
        if not theirs.cost_s or each.name not in _ABOUT:
            continue
        name = "the defaults of Knative" if each.name == "Knative's" else each.name
        against.append(compared(ours.cost_s, theirs.cost_s, name))
    return ", ".join([said, *against])


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


def _exceeding(outcome: Outcome) -> list[tuple[float, float]]:
    """Return seconds, and which share of requests waited longer than that."""
    still = [share for share, seconds in outcome.waits if seconds <= _LEAST_S]
    first = (_LEAST_S, 1 - still[-1] if still else 1.0)
    return [first, *((s, 1 - share) for share, s in outcome.waits if s > _LEAST_S)]


def _legend(outcomes: Sequence[Outcome]) -> str:
    marks = "".join(
        '<li><svg viewBox="0 0 30 10" aria-hidden="true">'
        f"{svg.line([(0.0, 5.0), (30.0, 5.0)], place)}</svg> {escape(each.name)}</li>"
        for place, each in enumerate(outcomes)
    )
    return f'<ul class="legend lines">{marks}</ul>'


def unit(outcome: Outcome) -> str:
    """Return what an outcome's cost is counted in."""
    return "GPU-hours" if outcome.gpus else "replica-hours"
