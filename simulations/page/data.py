"""What a page's script draws, as JSON that is safe inside of HTML."""

from __future__ import annotations

import json
from collections.abc import Sequence

from simulations.outcome import Origin, Outcome


def embedded(outcomes: Sequence[Outcome], origin: Origin) -> str:
    """Return the JSON; no text in it can end the element that it is in.

    What is said again and again is in it once: a decision has numbers of its words.
    """
    words: dict[str, int] = {}

    def word(said: str) -> int:
        return words.setdefault(said, len(words))

    told = {
        "span": length(outcomes, origin),
        "outcomes": [
            {
                "name": each.name,
                "series": {
                    "at": _short(each.series.at),
                    "arrivals": _short(each.series.arrivals),
                    "held": _short(each.series.held),
                    "ready": _short(each.series.ready),
                    "loading": _short(each.series.loading),
                },
                "moments": [
                    [
                        round(moment.at, 3),
                        word(moment.model),
                        moment.ready,
                        moment.desired,
                        moment.applied,
                        word(moment.mode),
                        word(moment.reason),
                    ]
                    for moment in each.moments
                ],
                "unlisted": each.unlisted,
            }
            for each in outcomes
        ],
        "words": list(words),
    }
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def length(outcomes: Sequence[Outcome], origin: Origin) -> float:
    """Return how long what is shown takes: all of the trace, or the part held back."""
    ends = [
        2 * each.series.at[-1] - each.series.at[-2]
        for each in outcomes
        if len(each.series.at) > 1
    ]
    return min(float(f"{max(ends):.9g}"), origin.span_s) if ends else origin.span_s


def _short(values: Sequence[float]) -> list[float]:
    """Return what differs by no pixel and takes less to write."""
    return [
        int(v) if v.is_integer() else v for v in (float(f"{v:.6g}") for v in values)
    ]
