"""Windows become as many requests as their rate says, inside of them."""

from __future__ import annotations

import numpy as np
import pytest

from simulations.formats.known import parse

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
