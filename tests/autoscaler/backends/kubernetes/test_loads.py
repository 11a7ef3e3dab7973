"""What a Fleet is told of the load on the Service path."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from autoscaler.backends.kubernetes.engines import Reading
from autoscaler.backends.kubernetes.facts import Container, Meta, Pod
from autoscaler.backends.kubernetes.loads import (
    MISSING_S,
    Loads,
    Subject,
    finishes,
    subject_of,
)
from autoscaler.backends.kubernetes.managed import Managed, Reference
from autoscaler.backends.kubernetes.merge import REPORTER
from autoscaler.core.domain import GateSpec, Probe, Replica, RevisionKey, RevisionSpec
from autoscaler.core.messages import Address, Sample, View
from tests.autoscaler.backends.kubernetes.test_scrape import (
    PAGE,
    answer,
    saying,
    server,
)

KEY = RevisionKey("prod", "iris-predictor")
OWNER = Reference(
    api_version="serving.kserve.io/v1beta1",
    kind="InferenceService",
    namespace="prod",
    name="iris",
)
IDLE = Reading(engine="vLLM", busy=0.0)
COUNTED = Reading(engine="MLServer", seconds=0.0, ended=0.0)


def pod(
    name: str, *, port: int = 8080, pre_stop: bool = True, grace_s: float = 90.0
) -> Pod:
    serving = Container(name="kserve-container", ports=(("", port),), pre_stop=pre_stop)
    return Pod(
        meta=Meta(name=name), containers=(serving,), ips=("127.0.0.1",), grace_s=grace_s
    )


def subject(*pods: Pod, **kw) -> Subject:
    return Subject(
        about=OWNER, ready=tuple((each.meta.name, each) for each in pods), **kw
    )


def awake(version: int = 4) -> View:
    return View(
        key=KEY,
        version=version,
        epoch=2,
        gate=GateSpec(),
        probe=Probe(),
        addresses=(Address(replica="a", host="127.0.0.1", port=8080, slots=-1),),
    )


class Scene:
    """Loads whose clock is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.heard: list[Sample] = []
        self.views = {KEY: awake()}
        self.loads = Loads(
            hear=self.heard.append,
            view=self.views.__getitem__,
            clock=lambda: self.now,
        )


def test_a_fleet_is_told_of_each_second():
    scene = Scene()
    scene.loads.watch(KEY, subject(pod("a")))
    scene.loads.read(KEY, "a", Reading(engine="vLLM", busy=3.0))

    scene.loads.tell()

    (sample,) = scene.heard
    assert (sample.reporter, sample.concurrency, sample.version) == (REPORTER, 3.0, 4)


def test_a_second_with_a_missing_page_is_not_told():
    scene = Scene()
    scene.loads.watch(KEY, subject(pod("a"), pod("b")))
    scene.loads.read(KEY, "a", IDLE)

    scene.loads.tell()

    assert scene.heard == []
    assert scene.loads.keeps(KEY) == "its load is not known: b: not read yet"


def test_a_load_that_stays_missing_is_said_with_its_reason_and_the_way_out():
    scene = Scene()
    scene.loads.watch(KEY, subject(pod("a")))
    scene.loads.failed(KEY, "a", "port 8080, /metrics: status 404, must be 200")
    scene.loads.tell()
    assert scene.loads.finding(KEY) is None

    scene.now += MISSING_S
    scene.loads.tell()
    found = scene.loads.finding(KEY)

    assert found is not None
    assert (found.reason, found.about, found.key) == ("LoadUnknown", OWNER, KEY)
    assert "a: port 8080, /metrics: status 404" in found.message
    assert "Gateway path" in found.message
    scene.loads.read(KEY, "a", IDLE)
    scene.loads.tell()
    assert scene.loads.finding(KEY) is None


def test_an_engine_that_counts_only_what_ended_is_kept_and_said_why():
    scene = Scene()
    scene.loads.watch(KEY, subject(pod("a")))
    scene.loads.read(KEY, "a", COUNTED)
    scene.loads.tell()

    found = scene.loads.finding(KEY)

    assert found is not None
    assert found.reason == "NotScaledToZero"
    assert found.message == scene.loads.keeps(KEY)
    assert "MLServer" in found.message


def test_waiting_for_a_window_to_pass_is_no_event():
    scene = Scene()
    scene.loads.watch(KEY, subject(pod("a"), timeout_s=60.0))
    scene.loads.read(KEY, "a", COUNTED)
    scene.loads.tell()

    assert scene.loads.keeps(KEY) != ""
    assert scene.loads.finding(KEY) is None


def test_one_that_sleeps_costs_no_sample():
    scene = Scene()
    scene.views[KEY] = replace(awake(), addresses=())
    scene.loads.watch(KEY, subject())

    scene.loads.tell()

    assert scene.heard == []


def test_one_whose_replicas_still_start_has_no_load_of_its_own():
    scene = Scene()
    scene.loads.watch(KEY, subject())

    scene.loads.tell()

    assert scene.heard[0].concurrency == 0.0


def test_what_came_through_activators_is_taken_off():
    scene = Scene()
    scene.loads.watch(KEY, subject(pod("a")))
    theirs = Sample(
        key=KEY, reporter="activator-1", span_s=1.0, concurrency=2.0, requests=2, held=0,
        in_flight=2, epoch=2, version=4,
    )  # fmt: skip
    scene.loads.heard(theirs)
    scene.loads.read(KEY, "a", Reading(engine="vLLM", busy=3.0))
    scene.loads.tell()
    scene.loads.left("activator-1")
    scene.loads.tell()

    assert [sample.concurrency for sample in scene.heard] == [1.0, 3.0]


def test_a_fleet_that_does_not_know_a_revision_yet_stops_no_other():
    scene = Scene()
    other = RevisionKey("prod", "new")
    scene.loads.watch(other, subject(pod("x")))
    scene.loads.watch(KEY, subject(pod("a")))
    scene.loads.read(KEY, "a", IDLE)

    scene.loads.tell()

    assert [sample.key for sample in scene.heard] == [KEY]


def test_of_what_is_forgotten_nothing_is_told_or_asked():
    scene = Scene()
    scene.loads.watch(KEY, subject(pod("a")))
    scene.loads.forget(KEY)

    scene.loads.read(KEY, "a", IDLE)
    scene.loads.failed(KEY, "a", "why")
    scene.loads.tell()

    assert scene.heard == []
    assert scene.loads._scraper._looks == {}
    assert (scene.loads.keeps(KEY), scene.loads.finding(KEY)) == ("", None)


@pytest.mark.parametrize(
    ("pre_stop", "grace_s", "timeout_s", "does"),
    [
        pytest.param(True, 60.0, 60.0, True, id="waits and has the time"),
        pytest.param(True, 30.0, 60.0, False, id="too short a grace"),
        pytest.param(False, 600.0, 60.0, False, id="refuses at once"),
    ],
)
def test_a_pod_finishes_what_it_has_if_it_waits_and_has_the_time(
    pre_stop, grace_s, timeout_s, does
):
    assert finishes(pod("a", pre_stop=pre_stop, grace_s=grace_s), timeout_s) is does


@pytest.mark.slow
def test_the_pages_of_real_pods_are_told_second_by_second():
    async def scene() -> None:
        told: asyncio.Queue[Sample] = asyncio.Queue()
        loads = Loads(hear=told.put_nowait, view=lambda key: awake())
        async with asyncio.timeout(20), server(saying(answer(PAGE))) as port:
            task = asyncio.get_running_loop().create_task(loads.run())
            loads.watch(KEY, subject(pod("a", port=port)))
            first, second = await told.get(), await told.get()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
        assert first.concurrency == second.concurrency == 4.0
        assert first.replicas[0].replica == "a"

    asyncio.run(scene())


def test_of_a_revision_those_are_read_that_are_ready_and_there():
    managed = Managed(
        key=KEY,
        spec=RevisionSpec(gate=GateSpec(timeout_s=7.0)),
        service="iris",
        owner=OWNER,
    )
    replicas = (
        Replica(id="a~1", ready=True),
        Replica(id="b", ready=False),
        Replica(id="gone", ready=True),
    )

    gone = pod("c")
    gone = replace(gone, meta=replace(gone.meta, deleting=True))
    found = subject_of(managed, None, [pod("a"), pod("b"), gone], replicas)

    assert [name for name, _ in found.leaving] == ["c"]
    assert [name for name, _ in found.ready] == ["a~1"]
    assert (found.timeout_s, found.families) == (7.0, ("IPv4",))
