"""What is learned of GPUs that nobody can see."""

from __future__ import annotations

from math import inf

import pytest

from autoscaler.backends.kubernetes.capacity import Capacity, Lacking
from autoscaler.core.domain import Budget, RevisionKey, StartFailure
from autoscaler.core.messages import Ready
from tests.autoscaler.backends.kubernetes.made import happened, pod, unplaced
from tests.autoscaler.core.stage import Stage, spec

IRIS = RevisionKey("prod", "iris")
LLM = RevisionKey("prod", "llm")
WORDS = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
NOTHING_KNOWN = Budget(gpus=None, patience_s=60.0)


def has(name, gpus=1, **kw):
    return pod(name, gpus=gpus, node="n", **kw)


def lacks(name, gpus=1, **kw):
    return unplaced(name, gpus=gpus, **kw)


def full(*llm):
    """Return a capacity of 3 GPUs, learned at 30.0; *llm*: what it has of them."""
    capacity = Capacity()
    capacity.see(LLM, llm or [has("a"), has("b"), has("c"), lacks("d")], (), 0.0)
    capacity.see(IRIS, [] if not llm else [lacks("i")], (), 0.0)
    capacity.advance(30.0)
    return capacity


def test_a_pod_that_waited_in_vain_says_that_there_are_no_more_gpus_than_we_have():
    capacity = Capacity()
    capacity.see(LLM, [has("a"), has("b"), has("c"), lacks("d")], (), 0.0)

    assert capacity.wake_at == 30.0
    assert capacity.advance(29.9) == ()
    assert capacity.budget == NOTHING_KNOWN

    (given_up,) = capacity.advance(30.0)

    assert given_up == Lacking(key=LLM, pod="d", reason=WORDS, final=True)
    assert capacity.budget == Budget(gpus=3, patience_s=60.0)
    assert capacity.advance(31.0) == ()
    assert capacity.wake_at == 330.0


def test_a_pod_still_waits_since_it_was_first_seen():
    capacity = Capacity()
    for now in (0.0, 10.0, 29.0):
        capacity.see(LLM, [lacks("d")], (), now)

    assert [each.pod for each in capacity.advance(30.0)] == ["d"]


@pytest.mark.parametrize(
    ("others", "final"),
    [
        pytest.param([], True, id="nobody else has any"),
        pytest.param([has("a", gpus=1)], True, id="others have too few"),
        pytest.param([has("a", gpus=2)], False, id="another has enough"),
    ],
)
def test_a_wake_without_a_gpu_is_refused_only_if_no_other_could_make_room(
    others, final
):
    capacity = Capacity()
    capacity.see(LLM, others, (), 0.0)
    capacity.see(IRIS, [lacks("i", gpus=2)], (), 0.0)

    (given_up,) = capacity.advance(30.0)

    assert given_up.final is final


@pytest.mark.parametrize(
    "waiting",
    [
        pytest.param(lacks("d", nominated="n"), id="others are leaving for it"),
        pytest.param(lacks("d", words="1 Insufficient cpu."), id="it lacks a cpu"),
        pytest.param(lacks("d", gpus=0), id="it asks for no GPU"),
        pytest.param(lacks("d", deleting=True), id="it is going"),
        pytest.param(pod("d", gpus=1), id="nobody has looked at it"),
        pytest.param(lacks("d", phase="Failed"), id="it has ended"),
    ],
)
def test_nothing_is_learned_of_a_pod_if(waiting):
    capacity = Capacity()
    capacity.see(LLM, [has("a"), waiting], (), 0.0)

    assert capacity.advance(300.0) == ()
    assert capacity.spoken_for(LLM) == ()
    assert capacity.wake_at == inf


def test_nothing_is_learned_while_the_cluster_adds_a_node():
    capacity = Capacity()
    capacity.see(LLM, [lacks("d")], [happened("d", "TriggeredScaleUp")], 0.0)

    assert capacity.advance(300.0) == ()


def test_a_budget_is_forgotten_after_five_minutes():
    capacity = full()
    capacity.see(LLM, [has("a"), has("b"), has("c")], (), 31.0)

    capacity.advance(329.9)
    assert capacity.budget.gpus == 3
    capacity.advance(330.0)
    assert capacity.budget == NOTHING_KNOWN
    assert capacity.wake_at == inf


def test_a_pod_that_nobody_took_away_is_learned_of_again():
    capacity = full()

    (again,) = capacity.advance(330.0)

    assert again.pod == "d"
    assert capacity.budget.gpus == 3


def test_a_gpu_that_comes_back_is_in_the_budget_and_one_that_was_taken_is_not():
    capacity = full()
    capacity.see(LLM, [has("a"), has("b")], (), 40.0)
    assert capacity.budget.gpus == 3

    capacity.see(IRIS, [lacks("i")], (), 41.0)
    capacity.advance(71.0)
    assert capacity.budget.gpus == 2


def test_a_terminating_pod_has_its_gpu_until_it_is_gone():
    capacity = Capacity()
    capacity.see(LLM, [has("a", deleting=True), lacks("d")], (), 0.0)

    capacity.advance(30.0)

    assert capacity.budget.gpus == 1


def test_more_pods_with_a_gpu_than_there_are_said_to_be_prove_it_wrong():
    capacity = full()

    capacity.see(LLM, [has("a"), has("b"), has("c"), has("d")], (), 40.0)

    assert capacity.budget == NOTHING_KNOWN


def test_where_sizes_differ_one_that_goes_may_make_more_room_than_its_own():
    capacity = full(has("a", gpus=2), has("b", gpus=1))
    assert capacity.budget.gpus == 3

    capacity.see(LLM, [has("a", gpus=2)], (), 40.0)

    assert capacity.budget == NOTHING_KNOWN


def test_those_that_wait_for_a_gpu_are_left_to_this():
    capacity = full()

    assert capacity.spoken_for(LLM) == ("d",)
    assert capacity.spoken_for(IRIS) == ()


class Tight(Stage):
    """A Fleet in a cluster of 3 GPUs, and what capacity makes of it."""

    def __init__(self):
        super().__init__()
        self.capacity = Capacity()
        self.given_up = []

    def bound(self):
        there = {name for names in self.there.values() for name in names}
        return there & self.up

    def ready(self, key):
        for name in self.there[key]:
            if name in self.up or len(self.bound()) < 3:
                self.up.add(name)
                for reporter in self.reporters:
                    self.fleet.hear(
                        Ready(key=key, reporter=reporter, replica=name), self.now
                    )

    def run(self, seconds):
        for _ in range(seconds):
            super().run(1)
            for key, names in self.there.items():
                self.ready(key)
                pods = [has(n) if n in self.up else lacks(n) for n in names]
                self.capacity.see(key, pods, (), self.now)
            lacking = self.capacity.advance(self.now)
            self.fleet.rebudget(self.capacity.budget, self.now)
            for each in lacking:
                self.given_up.append((self.now, each.pod))
                failure = StartFailure(
                    reason=each.reason, final=each.final, replica=each.pod
                )
                self.fleet.failed(each.key, failure, self.now)
            self.settle()


def test_three_gpus_serve_four_wanted_replicas_with_three_and_nothing_flaps():
    stage = Tight()
    stage.add(LLM, spec(gpus=1))
    stage.load[LLM] = 28
    stage.wake(LLM)

    stage.run(1200)

    assert len(stage.there[LLM]) == 3
    assert set(stage.serving(LLM)) == set(stage.there[LLM])
    assert "1 GPU needed, 0 free" in stage.decided(LLM)[-1][1].reason
    # One is tried again every five minutes, and is given up after thirty seconds.
    assert len(stage.given_up) <= 5
    assert min(replicas for at, replicas in stage.scales(LLM) if at > 10) == 3


def test_a_wake_that_finds_no_gpu_has_that_of_one_that_is_idle():
    stage = Tight()
    stage.add(LLM, spec(gpus=1, retention_s=3600.0))
    stage.add(IRIS, spec(gpus=1))
    stage.load[LLM] = 21
    stage.wake(LLM)
    stage.run(10)
    stage.load[LLM] = 0
    stage.run(5)

    stage.load[IRIS] = 1
    stage.wake(IRIS)
    stage.run(60)

    assert len(stage.serving(IRIS)) == 1
    assert stage.views[IRIS].refusal is None
