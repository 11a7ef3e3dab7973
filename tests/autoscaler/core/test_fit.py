"""Fitting, and following: two Fleets hear the same and only one commands."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.commands import Scale
from autoscaler.core.domain import Budget, Replica, StartFailure
from autoscaler.core.fleet import Fleet
from autoscaler.core.messages import Wake
from tests.autoscaler.core.stage import LLM, SLEEPY, TEXT, Stage, spec


class Pair(Stage):
    """A leader on its stage, and a Fleet beside it that hears and sees the same."""

    def __init__(self, budget: Budget | None = None) -> None:
        super().__init__(budget=budget)
        self.other = Fleet(budget=budget or Budget(), now=0.0)
        self.other.lead(leading=False, now=0.0)
        self.other.joined("a", 0.0)
        self.commanded: list[tuple[float, Scale]] = []
        leader = self.fleet
        mirror = self.other

        class Both:
            def __getattr__(self, name):
                def call(*args, **kwargs):
                    if name in ("configure", "hear", "observe", "failed"):
                        getattr(mirror, name)(*args, **kwargs)
                    return getattr(leader, name)(*args, **kwargs)

                return call

            @property
            def wake_at(self):
                return leader.wake_at

        self.fleet = Both()

    def settle(self) -> None:
        super().settle()
        while self.other.wake_at <= self.now:
            self.other.advance(self.now)
        self.commanded += [
            (self.now, each) for each in self.other.take() if isinstance(each, Scale)
        ]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("load"), st.integers(0, 60)),
        st.tuples(st.just("run"), st.integers(1, 90)),
        st.tuples(st.just("wake"), st.just(1)),
        st.tuples(st.just("kill"), st.integers(0, 3)),
    ),
    max_size=12,
)


def play(pair: Pair, step: tuple[str, int]) -> None:
    match step:
        case ("load", load):
            pair.load[LLM] = load
        case ("run", seconds):
            pair.run(seconds)
        case ("wake", _):
            pair.load[LLM] = max(1, pair.load[LLM])
            pair.wake(LLM)
        case ("kill", place):
            if place < len(pair.there[LLM]):
                pair.there[LLM].pop(place)
                pair.picture(LLM)
                pair.settle()


@settings(max_examples=60, deadline=None)
@given(steps=steps)
def test_a_follower_commands_nothing_but_one_replica(steps):
    pair = Pair()
    pair.add(LLM, spec())

    for step in steps:
        play(pair, step)

    assert {each.replicas for _, each in pair.commanded} <= {1}
    assert not any(each.stop for _, each in pair.commanded)


@settings(max_examples=60, deadline=None)
@given(steps=steps)
def test_taking_over_changes_no_count_at_once_that_the_leader_would_keep(steps):
    pair = Pair()
    pair.add(LLM, spec())
    for step in steps:
        play(pair, step)
    pair.run(1)
    before = len(pair.there[LLM])
    wanted = pair.status(LLM).desired

    pair.other.lead(leading=True, now=pair.now)
    scales = [each for each in pair.other.take() if isinstance(each, Scale)]

    # It may start what load wants at once; it stops nothing that the leader wants.
    for each in scales:
        assert each.replicas >= min(before, wanted)


def test_a_follower_wakes_what_sleeps():
    fleet = Fleet(budget=Budget(), now=0.0)
    fleet.lead(leading=False, now=0.0)
    fleet.joined("a", 0.0)
    fleet.configure(LLM, spec(), 0.0)
    fleet.advance(0.0)
    fleet.take()

    # The number of the sleep is the leader's, whatever this Fleet had counted.
    fleet.hear(Wake(key=LLM, reporter="a", epoch=7, held=1), 1.0)

    scales = [each for each in fleet.take() if isinstance(each, Scale)]
    assert [each.replicas for each in scales] == [1]


def test_a_follower_takes_what_it_is_shown_for_what_there_is_to_be():
    fleet = Fleet(budget=Budget(), now=0.0)
    fleet.lead(leading=False, now=0.0)
    fleet.joined("a", 0.0)
    fleet.configure(LLM, spec(), 0.0)
    three = tuple(
        Replica(id=f"llm-{n}", host="127.0.0.1", port=9000, ready=True)
        for n in range(3)
    )

    fleet.observe(LLM, three[:1], 1.0)
    fleet.observe(LLM, three, 2.0)
    assert fleet.status(LLM).ready == 3
    fleet.observe(LLM, three[1:], 3.0)
    assert fleet.status(LLM).ready == 2

    fleet.lead(leading=True, now=4.0)
    scales = [each for each in fleet.take() if isinstance(each, Scale)]
    assert all(each.replicas == 2 for each in scales)


def test_what_must_not_go_to_zero_keeps_one_until_it_may():
    stage = Stage()
    stage.add(LLM, spec())
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(5)
    stage.fleet.standing(
        LLM, stage.now, aside=False, keeps="no activator stands in", awaits=""
    )
    stage.load[LLM] = 0

    stage.run(600)

    assert len(stage.there[LLM]) == 1
    assert "no activator stands in" in stage.status(LLM).reason

    stage.fleet.standing(LLM, stage.now, aside=False, keeps="", awaits="")
    stage.run(600)
    assert stage.there[LLM] == []


def test_what_must_not_go_to_zero_is_not_woken_for_that():
    stage = Stage()
    stage.add(LLM, spec())
    stage.run(5)

    stage.fleet.standing(
        LLM, stage.now, aside=False, keeps="no activator stands in", awaits=""
    )
    stage.run(60)

    assert stage.scales(LLM) == []


def test_standing_aside_is_told_and_forgets_no_backoff():
    stage = Stage()
    stage.add(LLM, spec())
    stage.slow.add(LLM)
    stage.load[LLM] = 1
    stage.wake(LLM)
    name = stage.there[LLM].pop()
    failure = StartFailure(reason="exit status 1", final=True, replica=name)
    stage.fleet.failed(LLM, failure, stage.now)
    stage.settle()
    assert stage.views[LLM].refusal

    stage.fleet.standing(LLM, stage.now, aside=True, keeps="", awaits="")
    stage.settle()

    assert stage.views[LLM].aside
    assert stage.views[LLM].refusal


def test_room_that_shrinks_makes_nobody_go_and_lets_nobody_start():
    stage = Stage()
    stage.add(LLM, spec(gpus=1, max_replicas=4))
    stage.load[LLM] = 28
    stage.wake(LLM)
    stage.run(5)
    there = len(stage.there[LLM])
    assert there == 4

    stage.fleet.rebudget(Budget(gpus=4), stage.now)
    stage.add(TEXT, spec(gpus=1))
    stage.load[TEXT] = 1
    stage.wake(TEXT)
    stage.run(5)

    assert len(stage.there[LLM]) == there
    assert stage.there[TEXT] == []
    assert stage.state(TEXT) == "waiting"

    stage.fleet.rebudget(Budget(), stage.now)
    stage.settle()
    assert len(stage.there[TEXT]) == 1


def test_an_idle_revision_gives_its_gpu_when_room_is_learned_to_be_short():
    stage = Stage()
    stage.add(LLM, spec(gpus=1, retention_s=3600.0))
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(5)
    stage.load[LLM] = 0
    stage.run(5)
    stage.fleet.rebudget(Budget(gpus=1), stage.now)

    stage.add(TEXT, spec(gpus=1))
    stage.load[TEXT] = 1
    stage.wake(TEXT)
    stage.run(3)

    assert stage.there[LLM] == []
    assert len(stage.there[TEXT]) == 1


def test_a_budget_of_the_same_size_is_no_news():
    stage = Stage(budget=Budget(gpus=1))
    stage.add(LLM, spec(SLEEPY, gpus=1))
    stage.settle()

    stage.fleet.rebudget(Budget(gpus=1), stage.now)

    assert not [each for each in stage.fleet.take() if isinstance(each, Scale)]


def test_standing_said_of_nobody_known_is_nothing():
    stage = Stage()

    stage.fleet.standing(LLM, 0.0, aside=True, keeps="", awaits="")

    assert stage.fleet.take() == []


def test_the_progress_deadline_does_not_run_while_a_start_waits_for_a_node():
    stage = Stage()
    stage.add(LLM, spec(progress_deadline_s=60.0))
    stage.slow.add(LLM)
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.fleet.standing(LLM, stage.now, aside=False, keeps="", awaits="a node")

    first = stage.there[LLM][0]

    stage.run(300)
    assert stage.views[LLM].refusal is None
    assert stage.there[LLM] == [first]

    stage.fleet.standing(LLM, stage.now, aside=False, keeps="", awaits="")
    stage.run(59)
    assert stage.there[LLM] == [first]
    stage.run(5)
    assert first not in stage.there[LLM]
