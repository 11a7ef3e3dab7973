"""What a page's script draws, as JSON that is safe inside of HTML."""

from __future__ import annotations

import json
from collections.abc import Sequence

from simulations.outcome import Origin, Outcome


def embedded(outcomes: Sequence[Outcome], origin: Origin) -> str:
    """Return the JSON; no text in it can end the element that it is in."""
    told = {
        "span": origin.span_s,
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
                    {
                        "at": round(moment.at, 3),
                        "model": moment.model,
                        "ready": moment.ready,
                        "desired": moment.desired,
                        "applied": moment.applied,
                        "mode": moment.mode,
                        "reason": moment.reason,
                    }
                    for moment in each.moments
                ],
            }
            for each in outcomes
        ],
    }
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _short(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
