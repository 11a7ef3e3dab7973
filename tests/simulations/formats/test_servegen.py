"""Windows become as many requests as their rate says, inside of them."""

from __future__ import annotations

import numpy as np
import pytest

from simulations.edit import only, slice_
from simulations.formats import servegen
from simulations.formats.known import parse
from simulations.formats.reader import Part
from simulations.trace import TraceError

HEAD = "client,t_s,rate_rps,iat_cv,dist,shape,scale\n"


@pytest.mark.parametrize("kind", ["G", "W"])
def test_a_window_has_the_requests_of_its_rate(kind):
    found = parse([HEAD, f"3,600,0.5,2,{kind},0.5,1\n", "4,0,0.1,1,G,1,1\n"], "x")

    mine = found.arrivals[found.model == found.models.index("client-3")]
    assert len(mine) == 300
    assert mine.min() >= 600.0
    assert mine.max() <= 1_200.0
    assert found.span_s == 1_200.0


def test_a_smaller_shape_makes_gaps_that_vary_more():
    spread = []
    for shape in (0.3, 3.0):
        gaps = np.diff(parse([HEAD, f"3,0,5,2,G,{shape},1\n"], "x").arrivals)
        spread.append(gaps.std() / gaps.mean())

    assert spread[0] > 2 * spread[1]


WINDOWS = [HEAD] + [
    f"{client},{at},0.05,1,{kind},{0.5 + client},1\n"
    for at in range(0, 6_000, 600)
    for client, kind in ((0, "G"), (3, "W"), (8, "G"))
]


@pytest.mark.parametrize(
    "part",
    [
        Part(model="client-3"),
        Part(begin_s=1_000.0, end_s=2_500.0),
        Part(model="client-8", begin_s=599.0, end_s=601.0),
        Part(begin_s=5_999.0),
    ],
)
def test_a_part_has_the_same_requests_as_the_whole(part):
    def cut(found):
        mine = only(found, part.model) if part.model else found
        return slice_(mine, part.begin_s, min(part.end_s, found.span_s))

    found = parse(WINDOWS, "x", part=part)

    assert cut(found).digest == cut(parse(WINDOWS, "x")).digest
    assert len(found) < len(parse(WINDOWS, "x"))


def test_more_than_there_is_room_for_is_refused_but_a_part_is_read(monkeypatch):
    monkeypatch.setattr(servegen, "_MOST", 400)

    with pytest.raises(TraceError, match="take one client, as --model client-"):
        parse(WINDOWS, "x")
    assert len(parse(WINDOWS, "x", part=Part(model="client-0"))) == 300
    with pytest.raises(TraceError, match="must be one of client-0, client-3, client-8"):
        parse(WINDOWS, "x", part=Part(model="client-4"))
    with pytest.raises(TraceError, match="no request in the part"):
        parse(WINDOWS, "x", part=Part(begin_s=6_000.0))
