"""What goes away under load: replicas, activators, autoscalers, the API server.

Clients have connections that they keep and new ones, and lag behind the slices by up to
half a second; pods sleep for longer than that before they are told to end.
"""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from tests.kube.admin import Refused
from tests.kube.calls import Outcome, chat, predict
from tests.kube.cluster import Cluster, unable
from tests.kube.documents import at, isvc, until
from tests.kube.fixtures import demand
from tests.kube.installed import FINISHES, HOME, QUICK, installed
from tests.kube.severed import severed
from tests.kube.sleepers import begin, leaderships, written

pytestmark = pytest.mark.slow

N = "clf-predictor"
PATIENCE_S = 60.0
OUTAGE_S = 60.0
LAG_S = 0.5
RATE = 30.0
PRE_STOP = {"lifecycle": {"preStop": {"sleep": {"seconds": 3}}}}
LEASE = at(HOME, "leases", "fromzero-autoscaler")
SLEEPERS = 100


@pytest.fixture(scope="module")
def here():
    demand(unable())
    with (
        Cluster() as cluster,
        cluster.inside(),
        installed(cluster, "high-availability") as found,
    ):
        yield found


@pytest.fixture
def space(here):
    name = here.cluster.namespace()
    yield name
    # What is left would have its share of the machine.
    here.cluster.admin.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="module")
def elsewhere():
    """Give a thread that lasts: what a thread has started ends with it."""
    with ThreadPoolExecutor(1) as threads:
        yield threads


def mixed(model, request):
    """Return a prediction that takes a while, or, one in five, a stream."""
    if int(request.rpartition("-")[2]) % 5:
        return predict(model, request, latency_s=0.05)
    return chat(model, request, events=8, gap_s=0.05)


async def steady(on, replicas=3):
    """Have a model of that many replicas, with activators among them."""
    said = {**QUICK, "autoscaling.knative.dev/target-burst-capacity": "-1"}
    bounds = {"minReplicas": replicas, "maxReplicas": replicas}
    document = isvc(on.space, annotations=said, model=PRE_STOP, **bounds, **FINISHES)
    await on.manage()
    await on.begin(document)
    await on.until_ready(N, replicas)

    async def stand_in():
        return sum(len(each["endpoints"] or ()) for each in await on.ours(N)) >= 3

    await until("three activators in its slices", stand_in, PATIENCE_S)


@asynccontextmanager
async def load(on, name="r"):
    """Send requests to the steady model until the block ends, and wait for the last."""
    clients = on.clients(mixed, N, lag_s=LAG_S, count=12, name=name)
    async with asyncio.TaskGroup() as group:
        group.create_task(clients.rate(RATE, 600.0))
        yield clients
        clients.stop()
    clients.close()


def called(on, name):
    """Return one client of a plain model."""
    return on.clients(predict, name, model=name, lag_s=0.0, count=1, name=name)


async def answered(on, name):
    clients = called(on, name)
    outcome = await clients.one()
    clients.close()
    assert outcome == Outcome.RIGHT, clients.report()


def fine(report, least=50, killed=0):
    """Every request has a complete right answer, or was never sent.

    *killed* is how many the test has broken by replicas that it killed.
    """
    assert report.whole, report
    assert report.open == 0, report
    assert report.lost == killed, report
    assert not report.ends[Outcome.BUSY] + report.ends[Outcome.UNAVAILABLE], report
    assert report.right >= least, report


def cut_by_ends(report):
    """Return how many answers say that a replica ended while it had the request."""
    return sum(
        each.outcome == Outcome.WRONG
        and each.why.startswith("502")
        and "replica_failed" in each.why
        for each in report.troubles
    )


async def begun_anew(on, pod):
    async def so():
        status = (await on.talk.get(at(on.space, "pods", pod)))["status"]
        (its,) = status["containerStatuses"]
        return its["restartCount"] and its["ready"]

    await until(f"{pod} runs again", so, PATIENCE_S)
    await on.until_ready(N, 3)


async def holder(on):
    return (await on.talk.get(LEASE))["spec"].get("holderIdentity") or ""


async def until_led(on, *, not_by=""):
    async def so():
        now = await holder(on)
        return now if now and now != not_by else ""

    return await until("another leads", so, PATIENCE_S)


async def gone(on, pods):
    """Wait until those of ours are no more, and all that there are is ready."""

    async def so():
        try:
            items = (await on.talk.get(at(HOME, "pods")))["items"]
        except Refused:
            return False
        names = {each["metadata"]["name"] for each in items}
        return not names & set(pods)

    await until(f"the end of {', '.join(pods)}", so, PATIENCE_S)
    await whole(on)


async def whole(on):
    async def so():
        found = (await on.talk.get(at(HOME, "deployments")))["items"]
        return all(
            each["status"].get("readyReplicas") == each["spec"]["replicas"]
            and each["status"].get("observedGeneration")
            == each["metadata"]["generation"]
            for each in found
        )

    await until("all of ours is ready", so, PATIENCE_S)


def test_only_what_a_killed_replica_had_is_lost(here, space):
    async def scene(on):
        await steady(on)
        names = [each["metadata"]["name"] for each in await on.pods(N)]
        async with load(on) as clients:
            for name in names:
                here.node.kill(space, name)
                await begun_anew(on, name)
                await asyncio.sleep(2 * LAG_S)

        report = clients.report(killed=names)
        broken = cut_by_ends(report)
        fine(report, killed=broken)
        # Of 30 a second, each for a twentieth to two fifths of one; more where a busy
        # machine takes longer.
        assert broken + report.killed <= 3 * RATE, report

    here.play(space, scene)


def test_an_activator_that_is_told_to_stop_loses_nothing(here, space):
    async def scene(on):
        await steady(on)
        await begin(on, "nap")
        first, *_ = here.pods("activator")
        async with load(on) as clients:
            await on.talk.delete(at(HOME, "pods", first))
            await answered(on, "nap")
            await gone(on, [first])
        fine(clients.report())

    here.play(space, scene)


def test_activators_are_rolled_under_sleepers_and_nobody_is_refused(here, space):
    async def scene(on):
        await steady(on, 1)
        await begin(on, *(f"nap-{number}" for number in range(SLEEPERS)))
        before = here.pods("activator")
        chance = random.Random(4)
        asked = []

        async def ask(name):
            clients = on.clients(predict, name, model=name, lag_s=LAG_S, count=1)
            asked.append(clients)
            await clients.one()
            clients.close()

        async def sample(group):
            for number in chance.sample(range(SLEEPERS), 20):
                group.create_task(ask(f"nap-{number}"))
                await asyncio.sleep(0.5)

        async with load(on) as clients, asyncio.TaskGroup() as group:
            await asyncio.to_thread(
                here.cluster.kubectl,
                *("-n", HOME, "rollout", "restart", "deployment/fromzero-activator"),
            )
            await sample(group)
            await gone(on, before)
        fine(clients.report())
        for each in asked:
            fine(each.report(), least=1)

    here.play(space, scene, 170.0)


def test_a_killed_leader_is_followed_and_no_wake_waits_for_that(here, space):
    async def scene(on):
        await steady(on)
        await begin(on, "nap-1", "nap-2", "nap-3")
        first = await until_led(on)
        async with load(on) as clients:
            # The process: its pod begins it anew, and may lead on.
            here.node.kill(HOME, first)
            await answered(on, "nap-1")
            await whole(on)
            # The pod, as if its node were gone: only the Lease's end tells of it.
            second = await until_led(on)
            options = {"gracePeriodSeconds": 0}
            await on.talk.call("DELETE", at(HOME, "pods", second), options)
            await answered(on, "nap-2")
            third = await until_led(on, not_by=second)
            # Told to stop: it gives the Lease back.
            await whole(on)
            await on.talk.delete(at(HOME, "pods", third))
            await answered(on, "nap-3")
            await until_led(on, not_by=third)
            await whole(on)
            # The new leader puts to sleep what the ones before woke.
            for name in ("nap-1", "nap-2", "nap-3"):
                await on.until_replicas(name, 0)
        fine(clients.report())

    here.play(space, scene, 170.0)


def test_an_api_server_that_is_away_delays_only_who_waits_for_it(
    here, space, elsewhere
):
    async def scene(on):
        run = asyncio.get_running_loop().run_in_executor
        await steady(on)
        await begin(on, "nap")
        async with load(on) as clients, asyncio.TaskGroup() as group:
            await run(elsewhere, here.cluster.stop_api)
            try:
                held = group.create_task(answered(on, "nap"))
                await asyncio.sleep(OUTAGE_S)
                during = clients.report()
                assert not held.done()
            finally:
                await run(elsewhere, here.cluster.start_api)
            async with asyncio.timeout(PATIENCE_S):
                await held
        fine(clients.report())
        assert during.right > OUTAGE_S * RATE / 2
        await until_led(on)
        await on.until_replicas("nap", 0)

    here.play(space, scene, 240.0)


def test_lists_and_watches_that_break_off_are_made_up_for(here, space):
    async def scene(on):
        await steady(on)
        names = [f"nap-{number}" for number in range(30)]
        await begin(on, *names)
        before = here.pods("autoscaler")
        # By a road whose every connection breaks off within seconds, some in a list.
        async with load(on) as clients, severed(here.cluster.url) as road:
            await redirected(road.port)
            await gone(on, before)
            await answered(on, "nap-1")
            await begin(on, "late")
            await answered(on, "late")
            assert road.cuts
            for name in ("nap-1", "late"):
                await on.until_replicas(name, 0)
            before = here.pods("autoscaler")
            await redirected(None)
            await gone(on, before)
        fine(clients.report())

    async def redirected(port):
        """Have the autoscalers ask for the API server at another port."""
        value = f"KUBERNETES_SERVICE_PORT{'-' if port is None else f'={port}'}"
        await asyncio.to_thread(
            here.cluster.kubectl,
            *("-n", HOME, "set", "env", "deployment/fromzero-autoscaler", value),
        )

    here.play(space, scene, 170.0)


def test_whoever_does_not_lead_writes_only_wakes(here):
    """Of all that was done above, by the audit log."""
    terms = leaderships(here.cluster.audit_log)
    seen = written(here.cluster.audit_log)

    assert len({each.holder for each in terms}) > 2
    assert any(each.down for each in seen)
    strangers = [
        each
        for each in seen
        if not each.wake
        and each.pod not in {t.holder for t in terms if t.at(each.time)}
    ]
    assert strangers == []
