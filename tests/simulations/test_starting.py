"""Starts on nodes: by hand, and by the laws of what is shared."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.domain import Replica, RevisionKey, StartFailure
from simulations.cluster import Behaviour, Cluster, Failing, Machine, Part
from simulations.coldstart import parse
from simulations.engine import Engine
from simulations.nodes import Node, Nodes
from simulations.nodes import parse as nodes
from simulations.report import figures, node_figures, render
from simulations.workload import Phase, poisson
from simulations.world import Scenario, World
from tests.golden.scenarios import SLEEPY, model
from tests.simulations.laws import lawful

LLM, TEXT = RevisionKey("default", "llm"), RevisionKey("default", "text")


class Site:
    """A cluster with nodes, and what it says."""

    def __init__(self, where: Nodes, start: str, *, gpus: int = 1, **more) -> None:
        self.engine = Engine(now=0.0)
        self.listened: dict[str, float] = {}
        self.failures: list[tuple[float, StartFailure]] = []
        self.cluster = Cluster(self.engine, self, seed=1, nodes=where)
        for key in (LLM, TEXT):
            behaviour = Behaviour(cold_start=parse(start), **more)
            self.cluster.configure(key, behaviour, gpus)

    def observed(self, key: RevisionKey, replicas: tuple[Replica, ...]) -> None:
        pass

    def failed(self, key: RevisionKey, failure: StartFailure) -> None:
        self.failures.append((self.engine.now, failure))

    def listens(self, machine: Machine) -> None:
        self.listened[machine.id.removeprefix("default/")] = self.engine.now

    def broke(self, machine: Machine) -> None:
        pass

    def scale(self, at: float, key: RevisionKey, replicas: int) -> None:
        self.engine.run(until=at)
        self.cluster.scale(key, replicas, ())

    @property
    def nodes(self) -> list[Node]:
        assert self.cluster.pool is not None
        return self.cluster.pool.nodes

    def end(self, until: float) -> dict[str, float]:
        self.engine.run(until=until)
        self.cluster.close()
        return self.listened


def wide(**more) -> Nodes:
    return Nodes(**{"count": 1, "most": 1, "gpus": 4, "bandwidth": 1e9, **more})


def test_replicas_that_start_together_share_the_bandwidth_of_their_node():
    site = Site(wide(), "process(7s) + weights(15GB) + engine(14s)")

    site.scale(0.0, LLM, 3)

    # 7 s, then three times 15 GB by 1 GB/s, then 14 s.
    assert site.end(500.0) == {f"llm-{n}": 66.0 for n in (1, 2, 3)}


def test_a_start_that_comes_later_slows_down_the_one_that_is_loading():
    site = Site(wide(), "weights(10GB)")

    site.scale(0.0, LLM, 1)
    site.scale(5.0, TEXT, 1)

    assert site.end(500.0) == {"llm-1": 15.0, "text-1": 20.0}


def test_nodes_share_nothing_with_each_other():
    site = Site(wide(count=2, most=2, gpus=1), "weights(10GB)")

    site.scale(0.0, LLM, 2)

    assert site.end(500.0) == {"llm-1": 10.0, "llm-2": 10.0}
    assert [machine.node for machine in site.cluster.machines] == [1, 2]


def test_an_image_is_pulled_once_a_node_whoever_waits_for_it():
    site = Site(wide(count=2, most=2, gpus=2), "image(10GB) + process(5s)")

    site.scale(0.0, LLM, 3)  # Nodes 1, 2 and 1 again.
    site.scale(4.0, LLM, 4)
    site.scale(100.0, LLM, 0)
    site.scale(200.0, LLM, 1)

    assert site.end(500.0) == {
        **{f"llm-{n}": 15.0 for n in (1, 2, 3, 4)},
        "llm-5": 205.0,
    }
    assert [node.pulled for node in site.nodes] == [1, 1]


def test_each_revision_has_its_own_image_and_those_of_one_name_share_it():
    apart = Site(wide(), "image(10GB)")
    shared = Site(wide(), "image(10GB)", image="server:1")
    for site in (apart, shared):
        site.scale(0.0, LLM, 1)
        site.scale(0.0, TEXT, 1)

    assert apart.end(500.0) == {"llm-1": 20.0, "text-1": 20.0}
    assert shared.end(500.0) == {"llm-1": 10.0, "text-1": 10.0}


def test_an_image_of_a_given_time_is_waited_for_and_cached_too():
    site = Site(wide(), "image(20s) + process(5s)")

    site.scale(0.0, LLM, 1)
    site.scale(8.0, LLM, 2)
    site.scale(100.0, LLM, 3)

    assert site.end(500.0) == {"llm-1": 25.0, "llm-2": 25.0, "llm-3": 105.0}


def test_a_pull_goes_on_when_nobody_waits_for_it_and_a_load_does_not():
    site = Site(wide(), "image(10GB) + weights(10GB)", stop_s=0.0)

    site.scale(0.0, LLM, 1)
    site.scale(4.0, LLM, 0)
    site.scale(11.0, LLM, 2)
    # Both load by a half; from 15 s on the one that stays has all.
    site.scale(15.0, LLM, 1)

    assert site.end(500.0) == {"llm-2": 23.0}


def test_a_start_waits_until_a_replica_is_gone_and_pays_nothing_until_then():
    site = Site(wide(gpus=1, limit_s=60.0), "10s", stop_s=2.0)

    site.scale(0.0, LLM, 1)
    site.scale(20.0, TEXT, 1)
    site.scale(30.0, LLM, 0)

    assert site.end(100.0) == {"llm-1": 10.0, "text-1": 42.0}
    machine = site.cluster.machines[1]
    assert (machine.launched, machine.placed, machine.node) == (20.0, 32.0, 1)
    assert sum(machine.seconds.values()) == 68.0
    assert machine.seconds[Part.LOADING] == 10.0


def test_a_start_that_waits_for_too_long_fails_and_says_for_what():
    site = Site(wide(gpus=2), "10s", gpus=2)

    site.scale(0.0, TEXT, 1)
    site.scale(20.0, LLM, 1)
    site.end(200.0)

    ((at, failure),) = site.failures
    assert at == 50.0
    assert failure.reason == "unschedulable: no node has had 2 GPUs free for 30 s"
    assert failure.replica == "default/llm-1"
    assert not failure.final, "another revision may go"
    machine = site.cluster.machines[1]
    assert (machine.gone, sum(machine.seconds.values())) == (50.0, 0.0)


def test_a_start_that_waits_for_its_own_fails_for_good():
    site = Site(wide(gpus=1), "10s")

    site.scale(0.0, LLM, 2)
    site.end(200.0)

    ((at, failure),) = site.failures
    assert (at, failure.final) == (30.0, True)


def test_a_start_that_is_stopped_while_it_waits_goes_and_is_never_placed():
    site = Site(wide(gpus=1), "10s", stop_s=9.0)

    site.scale(0.0, LLM, 1)
    site.scale(5.0, TEXT, 1)
    site.scale(6.0, TEXT, 0)
    site.scale(7.0, LLM, 0)

    assert site.end(200.0) == {}
    assert not site.failures
    assert [machine.gone for machine in site.cluster.machines] == [16.0, 15.0]
    assert site.cluster.machines[1].placed == inf


def test_a_small_start_does_not_wait_behind_a_large_one():
    site = Site(wide(gpus=2, limit_s=99.0), "10s", stop_s=0.0)
    site.cluster.configure(LLM, Behaviour(cold_start=parse("10s")), 2)

    site.scale(0.0, TEXT, 1)
    site.scale(1.0, LLM, 1)
    site.scale(2.0, TEXT, 2)
    site.scale(50.0, TEXT, 0)

    assert site.end(200.0) == {"text-1": 10.0, "text-2": 12.0, "llm-1": 60.0}


def test_a_new_node_is_paid_for_by_whom_no_other_has_room_for():
    where = wide(count=1, most=3, gpus=1, idle_s=100.0)
    site = Site(where, "node(4m) + image(10GB) + process(5s)", stop_s=0.0)

    site.scale(0.0, LLM, 1)
    site.scale(20.0, LLM, 2)
    site.scale(300.0, LLM, 0)
    site.scale(350.0, LLM, 2)  # The image is there, on both.

    assert site.end(360.0) == {
        "llm-1": 15.0,
        "llm-2": 275.0,
        "llm-3": 355.0,
        "llm-4": 355.0,
    }
    first, second = site.nodes
    assert (first.asked, first.up, first.gone) == (0.0, 0.0, inf)
    assert (second.asked, second.up, second.gone) == (20.0, 260.0, inf)
    machine = site.cluster.machines[1]
    assert (machine.placed, machine.seconds[Part.LOADING]) == (260.0, 15.0)


def test_a_node_that_nobody_is_on_goes_and_the_next_start_pays_anew():
    where = wide(count=0, most=1, idle_s=100.0)
    site = Site(where, "node(60s) + image(10s)", stop_s=0.0)

    site.scale(0.0, LLM, 1)
    site.scale(80.0, LLM, 0)
    site.scale(179.0, LLM, 1)
    site.scale(200.0, LLM, 0)
    site.scale(300.0, LLM, 1)

    assert site.end(400.0) == {"llm-1": 70.0, "llm-2": 179.0, "llm-3": 370.0}
    assert [(node.asked, node.gone) for node in site.nodes] == [
        (0.0, 300.0),
        (300.0, inf),
    ]


def test_who_waits_for_a_node_takes_a_place_that_is_free_before_and_the_node_goes():
    where = wide(count=1, most=2, gpus=1, idle_s=50.0)
    site = Site(where, "node(4m) + process(5s)", stop_s=0.0)

    site.scale(0.0, LLM, 1)
    site.scale(10.0, TEXT, 1)
    site.scale(20.0, LLM, 0)

    assert site.end(400.0) == {"llm-1": 5.0, "text-1": 25.0}
    assert [(node.up, node.gone) for node in site.nodes] == [
        (0.0, inf),
        (250.0, 300.0),
    ]


def test_a_start_with_a_node_on_its_way_does_not_fail_and_one_without_does():
    site = Site(wide(count=1, most=2, gpus=1), "node(4m) + process(5s)")

    site.scale(0.0, LLM, 1)
    site.scale(1.0, TEXT, 2)

    assert site.end(400.0) == {"llm-1": 5.0, "text-1": 246.0}
    assert [at for at, _ in site.failures] == [31.0]


def test_nodes_that_come_are_asked_for_by_what_fits_them_together():
    site = Site(wide(count=0, most=9, gpus=4), "node(4m) + process(5s)")

    site.scale(0.0, LLM, 6)

    assert set(site.end(400.0).values()) == {245.0}
    assert len(site.nodes) == 2


def test_a_start_that_fails_has_had_its_place_and_gives_it_back():
    failing = Failing(begin=0.0, end=10.0, after_s=3.0)
    site = Site(wide(gpus=1), "5s", failing=(failing,))

    site.scale(0.0, LLM, 1)
    site.scale(2.0, TEXT, 1)

    # The second is placed when the first has failed, and fails as well.
    assert site.end(60.0) == {}
    assert [at for at, _ in site.failures] == [3.0, 6.0]
    assert site.nodes[0].free == 1


def test_a_phase_of_nothing_is_over_at_once_but_not_before_it_is_seen():
    site = Site(wide(), "node(4m)")

    site.scale(3.0, LLM, 1)

    assert site.listened == {}
    assert site.end(10.0) == {"llm-1": 3.0}


def test_what_no_node_can_hold_and_bytes_without_nodes_are_refused():
    with pytest.raises(ValueError, match="needs 5 GPUs, but no node has more than 4"):
        Site(wide(), "10s", gpus=5)
    with pytest.raises(ValueError, match="loads bytes, but there are no nodes"):
        Site(None, "weights(1GB)")  # type: ignore[arg-type]


STARTS = ("10s", "weights(10GB)", "image(4GB) + process(3s) + weights(2GB) + engine(1s)",
          "node(30s) + image(5s) + weights(3GB)", "lognormal(20s,9s) + weights(1GB)")  # fmt: skip
ORDERS = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from((LLM, TEXT)), st.integers(0, 5)),
    max_size=12,
)


@given(
    ORDERS,
    st.sampled_from(STARTS),
    st.sampled_from(("1x1", "2x2", "1-3x2", "0-2x4")),
    st.integers(0, 1),
)
def test_whatever_is_ordered_the_gpus_of_a_node_are_never_exceeded(
    orders, start, where, gpus
):
    def run() -> Site:
        known = nodes(where)
        place = wide(count=known.count, most=known.most, gpus=known.gpus, idle_s=40.0)
        site = Site(place, start, gpus=gpus, stop_s=2.0)
        for gap, key, replicas in orders:
            site.scale(site.engine.now + gap, key, replicas)
        site.end(5_000.0)
        return site

    site, again = run(), run()

    machines = site.cluster.machines
    for node in site.nodes:
        mine = [m for m in machines if m.node == node.number]
        assert most_at_once(mine) * gpus <= node.gpus
        for machine in mine:
            assert node.up <= machine.placed
            assert machine.gone <= node.gone
    for machine in machines:
        waited = min(machine.placed, machine.gone, 5_000.0) - machine.launched
        life = min(machine.gone, 5_000.0) - machine.launched
        assert sum(machine.seconds.values()) == pytest.approx(life - waited)
        name = machine.id.removeprefix("default/")
        if name in site.listened:
            loaded = sum(
                phase.size for phase in parse(start) if phase.name == "weights"
            )
            took = site.listened[name] - machine.placed
            assert took >= loaded / 1e9 * (1 - 1e-9)
    living = [m for m in machines if m.gone == inf]
    assert sum(node.replicas for node in site.nodes) == sum(
        1 for m in living if m.placed < inf
    )
    assert all(m.listening for m in living if m.placed < inf), "no load is lost"
    assert site.listened == again.listened
    assert [(m.placed, m.gone) for m in machines] == [
        (m.placed, m.gone) for m in again.cluster.machines
    ]


@given(
    ORDERS, st.sampled_from(("10s", "lognormal(20s,9s)", "process(3s) + engine(4s)"))
)
def test_nodes_with_room_for_all_and_nothing_to_share_change_nothing(orders, start):
    """By the same draws, to the last digit."""
    roomy = Nodes(count=1, most=1, gpus=1_000)
    found = []
    for where in (roomy, None):
        site = Site(where, start, stop_s=2.0)  # type: ignore[arg-type]
        for gap, key, replicas in orders:
            site.scale(site.engine.now + gap, key, replicas)
        site.end(5_000.0)
        found.append((site.listened, [(m.id, m.gone) for m in site.cluster.machines]))

    assert found[0] == found[1]


@given(
    st.sampled_from(("1x1", "2x2", "1-3x2", "0-2x2")),
    st.sampled_from(STARTS),
    st.integers(1, 2),
    st.sampled_from((8.0, 60.0, 600.0)),
    st.integers(0, 50),
)
@settings(max_examples=25)
def test_a_run_on_nodes_keeps_the_laws_however_it_is_walked_through(
    where, start, gpus, deadline_s, seed
):
    known = nodes(where)
    load = (Phase(length_s=90, rate=2.0), Phase(length_s=300, rate=0.0))
    scaling = replace(SLEEPY, progress_deadline_s=deadline_s)
    behaviour = Behaviour(cold_start=parse(start), lifetime_s=200.0, stop_s=3.0)
    scenario = Scenario(
        models=tuple(
            model(key, scaling, gpus=min(gpus, known.gpus), behaviour=behaviour)
            for key in (LLM, TEXT)
        ),
        workloads=tuple(
            poisson(key, load, service_s=2.0, until=900, seed=seed)
            for key in (LLM, TEXT)
        ),
        nodes=replace(known, bandwidth=1e9, idle_s=60.0),
        until=1_500,
        seed=seed,
    )

    leapt = lawful(scenario)
    walked = World(replace(scenario, walks=True)).run()

    assert leapt.scales == walked.scales
    assert (leapt.waits, leapt.ends, leapt.cold) == (
        walked.waits, walked.ends, walked.cold,
    )  # fmt: skip
    assert figures(leapt) == figures(walked)
    assert node_figures(leapt) == node_figures(walked)
    assert render(leapt) == render(World(scenario).run())


def most_at_once(machines: list[Machine]) -> int:
    turns = sorted(
        (at, step) for m in machines for at, step in ((m.placed, 1), (m.gone, -1))
    )
    alive = most = 0
    for _, step in turns:
        alive += step
        most = max(most, alive)
    return most
