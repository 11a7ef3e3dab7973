from __future__ import annotations

from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.closed import keep
from simulations.cluster import Part
from simulations.policies.policy import Policy, Seen, Wanted
from simulations.policies.rule import Fixed
from simulations.report import figures
from simulations.run import End
from simulations.world import World
from tests.golden.scenarios import ALL
from tests.simulations.laws import lawful
from tests.simulations.policies.stage import LLM, lives, run


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 900), min_size=1, max_size=25).map(sorted),
    st.sampled_from([5, 20, 61]),
    st.sampled_from([2, 37]),
    st.sampled_from([1, 30]),
)
def test_the_world_with_an_idle_timer_is_the_closed_form(
    arrivals, keeps, load, service
):
    """To the second: whole seconds, so that each report shows all there was."""
    found = run(
        f"keepalive:{keeps}s", arrivals, service_s=service, load_s=load, until=1_200.0
    )
    kept = keep(
        arrivals, [service] * len(arrivals), Fixed(keeps), load_s=load, span_s=1_200.0
    )

    (figure,) = figures(found)
    parts = dict(figure.seconds)
    assert figure.starts == kept.cold
    assert parts[Part.LOADING] == pytest.approx(kept.loading_s)
    assert parts[Part.BUSY] == pytest.approx(kept.busy_s)
    assert figure.replica_s == pytest.approx(kept.cost_s)


class Never:
    """A mind that wants nothing, whoever asks."""

    def decide(self, seen: Seen, now: float) -> Wanted:
        return Wanted(replicas=0, reason="never")


class Always:
    """One that wants two, asked for or not."""

    def decide(self, seen: Seen, now: float) -> Wanted:
        return Wanted(replicas=2, reason="always")


def decided(name: str, mind) -> World:
    return World(replace(ALL[name](), policy=Policy(name="a mind", begin=mind)))


def test_what_serves_is_not_stopped_and_who_waits_is_started_for_whatever_a_mind_says():
    found = decided("waves", Never).run()

    assert set(found.ends) == {End.ANSWERED}
    reasons = {made.reason.partition(";")[0] for _, made in found.decisions}
    assert {"never", "a request waits", "it has requests"} <= reasons


def test_a_mind_may_want_replicas_before_anybody_asks_for_them():
    found = decided("waves", Always).run()

    assert [launched for launched, _ in lives(found)] == [0.0, 0.0]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("mind", [Never, Always])
def test_the_laws_hold_whatever_a_mind_wants(name, mind):
    lawful(replace(ALL[name](), policy=Policy(name="a mind", begin=mind)))


def test_who_made_room_is_away_until_it_is_asked_for():
    found = run("keepalive:10m", [10.0], [100.0], gpus=1, until=500.0)

    assert lives(found)[0][1] < 110.0
    assert len(lives(found, LLM)) == 1


def test_how_long_a_start_takes_is_learnt():
    learnt = []

    class Watching(Never):
        def decide(self, seen: Seen, now: float) -> Wanted:
            learnt.append(seen.load_s)
            return Wanted(replicas=0, reason="never")

    decided("waves", Watching).run()

    assert learnt[0] == 0.0
    assert learnt[-1] == pytest.approx(12.0)


@pytest.mark.parametrize("at", [10.0, 10.5])
def test_who_left_before_a_start_was_ready_was_the_last_to_use_it(at):
    found = run("keepalive:60s", [at], load_s=37.0, tolerance_s=20.0)

    assert list(found.ends) == [End.EXPIRED]
    # To the report in which there was somebody.
    assert [life[1] for life in lives(found)] == [ceil(at + 20.0) + 60.0]
