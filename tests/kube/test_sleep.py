"""InferenceServices that sleep, hold and wake in a real cluster, as the README has it."""

from __future__ import annotations

import pytest

from tests.kube.calls import Outcome, predict
from tests.kube.cluster import Cluster, unable
from tests.kube.documents import isvc
from tests.kube.fixtures import demand
from tests.kube.installed import FINISHES, PRE_STOP, QUICK, installed

pytestmark = pytest.mark.slow

N = "clf-predictor"


@pytest.fixture(scope="module")
def here():
    demand(unable())
    with Cluster() as cluster, cluster.inside(), installed(cluster) as found:
        yield found


@pytest.fixture
def space(here):
    return here.cluster.namespace()


def test_a_model_sleeps_holds_a_request_and_wakes(here, space):
    async def scene(on):
        await on.manage()
        model = {"args": ["--start_s=0.5"], **PRE_STOP}
        await on.begin(
            isvc(space, minReplicas=0, annotations=QUICK, model=model, **FINISHES)
        )
        await on.until_ready(N, 1)
        await on.until_asleep(N)

        clients = on.clients(predict, N, lag_s=0.0, count=1)
        outcome = await clients.one()

        assert outcome == Outcome.RIGHT, clients.report()
        await on.until_ready(N, 1)
        await on.until_asleep(N)
        assert await clients.one() == Outcome.RIGHT
        clients.close()

    here.play(space, scene)
