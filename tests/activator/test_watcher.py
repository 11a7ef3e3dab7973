from __future__ import annotations

from math import inf

import pytest

from activator.core.ticket import Outcome
from activator.watcher import Finished
from tests.activator.rig import KEY, ROUTE


@pytest.mark.parametrize(
    ("dispatched", "took_s"),
    [
        pytest.param(3.0, 1.5, id="at a replica"),
        pytest.param(inf, None, id="never at one"),
    ],
)
def test_a_replica_took_the_time_since_it_got_the_request(dispatched, took_s):
    ended = Finished(KEY, ROUTE, 1.0, dispatched, 4.5, 200, Outcome.OK)

    assert ended.service_s == took_s
    assert ended.service == "ns/iris"
    assert ended.tokens == (None, None)
