from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.domain import Replica, RevisionKey
from autoscaler.core.messages import Address, ReplicaLoad, Sample
from autoscaler.core.replicas import Deaths, Replicas
from autoscaler.core.reports import Reports

NOBODY_DIED = Deaths(ready=0, starting=0)


def seen(*names: str, ready: str = "") -> tuple[Replica, ...]:
    """Return a picture of *names*; the backend calls those in *ready* ready."""
    return tuple(
        Replica(id=name, host="127.0.0.1", port=9000, ready=name in ready.split())
        for name in names
    )


def having(*names: str, ready: str = "") -> Replicas:
    """Return replicas that were commanded and are all there."""
    replicas = Replicas()
    replicas.start(len(names))
    replicas.see(seen(*names, ready=ready))
    return replicas


def said(reporter: str, *loads: ReplicaLoad, version: int = 1) -> Reports:
    reports = Reports()
    reports.heard(sample(reporter, *loads, version=version), now=10.0)
    return reports


def sample(reporter: str, *loads: ReplicaLoad, version: int) -> Sample:
    return Sample(
        key=RevisionKey("default", "iris"),
        reporter=reporter,
        span_s=1.0,
        concurrency=0.0,
        requests=0,
        held=0,
        in_flight=sum(each.in_flight for each in loads),
        epoch=0,
        version=version,
        replicas=loads,
    )


def load(
    replica: str, in_flight: int = 0, *, idle_s: float = 0.0, ready: bool | None = None
) -> ReplicaLoad:
    return ReplicaLoad(replica=replica, in_flight=in_flight, idle_s=idle_s, ready=ready)


def names(replicas: Replicas) -> list[str]:
    return [member.id for member in replicas.ours()]


def draining(replicas: Replicas) -> list[str]:
    return [each.replica for each in replicas.addresses(-1) if each.draining]


def figures(replicas: Replicas) -> tuple[int, int, int, int]:
    """Return target, ready, draining and leaving."""
    return replicas.target, replicas.ready, replicas.draining, replicas.leaving


def test_what_was_commanded_takes_room_before_it_is_there():
    replicas = Replicas()

    replicas.start(2)

    assert figures(replicas) == (2, 0, 0, 0)
    assert (replicas.active, replicas.room) == (2, 2)
    assert replicas.addresses(-1) == ()


def test_what_a_backend_has_is_taken_for_what_it_was_told_to_have():
    replicas = Replicas()

    replicas.adopt(seen("r1", "r2", ready="r2"))

    assert names(replicas) == ["r1", "r2"]
    assert figures(replicas) == (2, 1, 0, 0)


def test_more_than_were_commanded_are_leaving_and_get_no_request():
    replicas = having("r1")

    replicas.see(seen("r1", "r2", ready="r1 r2"))

    assert names(replicas) == ["r1"]
    assert figures(replicas) == (1, 1, 0, 1)
    assert replicas.room == 2
    assert [each.replica for each in replicas.addresses(-1)] == ["r1"]


def test_the_end_of_one_too_many_is_no_death():
    replicas = having("r1")
    replicas.see(seen("r1", "r2"))

    deaths = replicas.see(seen("r1"))

    assert deaths == NOBODY_DIED
    assert figures(replicas) == (1, 0, 0, 0)


def test_who_is_gone_untold_has_died_ready_or_starting():
    replicas = having("r1", "r2", "r3", ready="r1")

    deaths = replicas.see(seen("r3"))

    assert deaths == Deaths(ready=1, starting=1)
    assert figures(replicas) == (1, 0, 0, 0)


def test_the_end_of_one_that_was_ready_once_is_no_failed_start():
    replicas = having("r1")
    replicas.say("r1", "a", ready=True)
    replicas.say("r1", "a", ready=False)

    assert replicas.see(()) == Deaths(ready=1, starting=0)


def test_the_end_of_a_start_that_was_called_off_is_no_failed_start():
    replicas = having("r1")
    replicas.shrink(1, Reports())

    assert replicas.see(()) == NOBODY_DIED


def test_who_was_told_to_stop_takes_room_until_it_is_gone():
    replicas = having("r1", "r2", ready="r1 r2")

    replicas.stop(["r1"], 1)

    assert figures(replicas) == (1, 1, 0, 1)
    assert (replicas.active, replicas.room) == (1, 2)
    assert replicas.get("r1") is None
    assert replicas.get("r2") is not None
    assert replicas.see(seen("r2", ready="r2")) == NOBODY_DIED
    assert replicas.room == 1


def test_a_picture_twice_is_a_picture_once():
    replicas = having("r1", "r2", ready="r1")
    before = figures(replicas)

    assert replicas.see(seen("r1", "r2", ready="r1")) == NOBODY_DIED
    assert figures(replicas) == before


def test_a_failed_start_is_one_less_and_counted_once():
    replicas = having("r1", "r2")

    assert replicas.died("r1")
    assert not replicas.died("r1")
    assert names(replicas) == ["r2"]
    assert replicas.target == 1


def test_an_older_picture_does_not_bring_back_the_dead():
    replicas = having("r1", "r2")
    replicas.died("r1")

    assert replicas.see(seen("r1", "r2")) == NOBODY_DIED
    assert names(replicas) == ["r2"]
    # The picture after that is new; who is dead stays so.
    assert replicas.see(seen("r2")) == NOBODY_DIED
    assert replicas.target == 1


def test_a_failure_without_a_name_is_one_less():
    replicas = Replicas()
    replicas.start(2)

    assert replicas.died("")
    assert replicas.died("")
    assert not replicas.died("")
    assert replicas.target == 0


def test_a_failure_of_one_that_was_never_shown_is_one_less():
    replicas = Replicas()
    replicas.start(1)

    assert replicas.died("r1")
    assert replicas.target == 0


def test_the_end_of_one_that_was_told_to_stop_is_no_failure():
    replicas = having("r1", "r2")
    replicas.stop(["r1"], 1)

    assert not replicas.died("r1")
    assert figures(replicas) == (1, 0, 0, 0)


def test_the_end_of_one_that_drains_is_one_less_and_no_failure():
    replicas = having("r1", "r2", ready="r1 r2")
    replicas.shrink(1, Reports())

    assert not replicas.died(draining(replicas)[0])
    assert figures(replicas) == (1, 1, 0, 0)


def test_ready_is_what_the_backend_or_a_probe_says():
    replicas = having("r1", "r2", "r3", ready="r1")

    assert replicas.say("r2", "a", ready=True)
    assert replicas.ready == 2


def test_one_becomes_ready_once():
    replicas = having("r1")

    assert replicas.say("r1", "a", ready=True)
    assert not replicas.say("r1", "b", ready=True)
    assert replicas.ready == 1


def test_who_is_lost_to_one_reporter_is_ready_by_the_word_of_another():
    replicas = having("r1")
    replicas.say("r1", "a", ready=True)
    replicas.say("r1", "b", ready=True)

    assert not replicas.say("r1", "a", ready=False)
    assert replicas.ready == 1
    assert not replicas.say("r1", "b", ready=False)
    assert replicas.ready == 0


def test_nothing_is_said_of_who_is_not_there():
    replicas = having("r1")

    assert not replicas.say("r2", "a", ready=True)
    assert replicas.probed("a", [load("r2", ready=True)]) == 0
    assert replicas.ready == 0


def test_a_sample_heals_what_was_lost_of_ready_and_of_lost():
    replicas = having("r1", "r2")

    assert replicas.probed("a", [load("r1", ready=True), load("r2")]) == 1
    assert replicas.probed("a", [load("r1", ready=True)]) == 0
    assert replicas.probed("a", [load("r1", ready=False)]) == -1
    assert replicas.ready == 0


def test_the_word_of_a_reporter_that_left_is_kept_until_another_denies_it():
    replicas = having("r1", "r2")
    replicas.say("r1", "a", ready=True)

    replicas.forget("a")

    assert replicas.ready == 1
    assert not replicas.say("r1", "b", ready=False)
    assert replicas.ready == 0


def test_those_that_serve_nobody_yet_go_first_then_the_idlest_then_the_newest():
    replicas = having("busy", "idle", "new", "newer", "old", "starting", ready="")
    for name in ("busy", "idle", "new", "newer", "old"):
        replicas.say(name, "a", ready=True)
    reports = said(
        "a",
        load("busy", 2),
        load("idle", idle_s=60.0),
        load("new", idle_s=5.0),
        load("newer", idle_s=5.0),
        load("old", idle_s=1.0),
    )

    victims = replicas.victims(6, reports)

    assert [each.id for each in victims] == [
        "starting",
        "idle",
        "newer",
        "new",
        "old",
        "busy",
    ]


def test_who_drains_already_is_not_given_up_again():
    replicas = having("r1", "r2", ready="r1 r2")
    replicas.shrink(1, Reports())

    assert len(replicas.victims(2, Reports())) == 1


def test_what_no_backend_has_shown_is_called_off_at_once():
    replicas = having("r1", ready="r1")
    replicas.start(2)

    assert replicas.shrink(2, Reports())
    assert figures(replicas) == (1, 1, 0, 0)


def test_fewer_than_are_unseen_leave_the_others_alone():
    replicas = having("r1", ready="r1")
    replicas.start(1)

    assert replicas.shrink(2, Reports())
    assert figures(replicas) == (1, 0, 1, 0)


def test_what_is_there_is_drained_before_a_backend_is_told():
    replicas = having("r1", "r2", ready="r1 r2")

    assert not replicas.shrink(1, Reports())
    assert figures(replicas) == (2, 1, 1, 0)
    assert replicas.active == 1
    assert draining(replicas) == ["r2"]


def test_who_drains_is_kept_before_another_is_started():
    replicas = having("r1", "r2", "r3", ready="r1 r2 r3")
    replicas.shrink(2, Reports())

    assert replicas.resume(1) == 0
    assert figures(replicas) == (3, 2, 1, 0)
    assert replicas.resume(3) == 2
    assert figures(replicas) == (3, 3, 0, 0)


def test_starts_that_took_too_long_are_given_up_for_good():
    replicas = having("r1", "r2", ready="r1")
    replicas.start(1)

    assert replicas.condemn()
    assert figures(replicas) == (2, 1, 1, 0)
    assert draining(replicas) == ["r2"]
    assert replicas.resume(1) == 1
    assert draining(replicas) == ["r2"]


def test_giving_up_starts_that_are_there_tells_no_backend_yet():
    replicas = having("r1")

    assert not replicas.condemn()
    assert figures(replicas) == (1, 0, 1, 0)


@pytest.fixture
def drain() -> Replicas:
    """Return one replica that drains, as view 5 has told."""
    replicas = having("r1", ready="r1")
    replicas.shrink(1, Reports())
    replicas.told(5)
    return replicas


def test_who_drains_is_done_when_every_reporter_says_so(drain: Replicas):
    drain.emptied("r1", "a")

    assert drain.drained(["a", "b"], Reports()) == []
    drain.emptied("r1", "b")
    assert drain.drained(["a", "b"], Reports()) == ["r1"]


def test_a_sample_that_knows_of_the_drain_says_so_too(drain: Replicas):
    assert drain.drained(["a"], said("a", load("r1"), version=4)) == []
    assert drain.drained(["a"], said("a", load("r1", 1), version=5)) == []
    assert drain.drained(["a"], said("a", load("r1"), version=5)) == ["r1"]


def test_a_drain_that_nobody_was_told_of_is_not_done():
    replicas = having("r1", ready="r1")
    replicas.shrink(1, Reports())
    replicas.emptied("r1", "a")

    assert replicas.drained(["a"], said("a", load("r1"), version=9)) == []


def test_who_has_no_address_has_no_request():
    replicas = Replicas()
    replicas.start(1)
    replicas.see((Replica(id="r1"),))
    replicas.shrink(1, Reports())

    assert replicas.drained(["a"], Reports()) == ["r1"]


def test_who_does_not_drain_is_never_drained():
    replicas = having("r1", ready="r1")
    replicas.emptied("r1", "a")
    replicas.emptied("r2", "a")

    assert replicas.drained(["a"], said("a", load("r1"))) == []


def test_a_drained_of_a_drain_that_was_ended_does_not_end_the_next(drain: Replicas):
    drain.resume(1)
    drain.shrink(1, Reports())
    drain.told(7)

    drain.emptied("r1", "a")

    assert drain.drained(["a"], said("a", load("r1"), version=6)) == []
    assert drain.drained(["a"], said("a", load("r1"), version=7)) == ["r1"]


def test_a_drain_is_known_from_the_first_view_that_told_of_it(drain: Replicas):
    drain.start(1)
    drain.see(seen("r1", "r2", ready="r1 r2"))
    drain.told(6)

    assert drain.drained(["a"], said("a", load("r1"), version=5)) == ["r1"]


def test_telling_of_no_drain_is_nothing():
    replicas = having("r1", ready="r1")

    replicas.told(5)
    replicas.shrink(1, Reports())

    assert replicas.drained(["a"], said("a", load("r1"), version=5)) == []


def test_addresses_are_those_that_have_one_starting_and_draining_ones_too():
    replicas = having("r1", "r2", ready="r1")
    replicas.start(2)
    replicas.see((*seen("r1", "r2", ready="r1"), Replica(id="r3")))
    replicas.shrink(3, Reports())

    assert replicas.addresses(4) == (
        Address(replica="r1", host="127.0.0.1", port=9000, slots=4),
        Address(replica="r2", host="127.0.0.1", port=9000, slots=4, draining=True),
    )


def test_who_was_told_to_stop_has_no_address():
    replicas = having("r1", "r2", ready="r1 r2")

    replicas.stop(["r1"], 1)

    assert [each.replica for each in replicas.addresses(-1)] == ["r2"]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("see"), st.sets(st.integers(0, 5))),
        st.tuples(st.just("ready"), st.integers(0, 5)),
        st.tuples(st.just("lost"), st.integers(0, 5)),
        st.tuples(st.just("died"), st.integers(0, 5)),
        st.tuples(st.just("start"), st.integers(1, 3)),
        st.tuples(st.just("shrink"), st.integers(1, 3)),
        st.tuples(st.just("resume"), st.integers(1, 3)),
        st.tuples(st.just("condemn"), st.just(0)),
        st.tuples(st.just("stop"), st.just(0)),
    ),
    max_size=40,
)


def step(replicas: Replicas, what: str, value) -> None:
    """Have one thing happen that a Fleet can cause or hear."""
    match what:
        case "see":
            replicas.see(seen(*(f"r{number}" for number in sorted(value))))
        case "ready" | "lost":
            replicas.say(f"r{value}", "a", ready=what == "ready")
        case "died":
            replicas.died(f"r{value}")
        case "start":
            replicas.start(value)
        case "shrink":
            replicas.shrink(min(value, replicas.active), Reports())
        case "resume":
            replicas.resume(value)
        case "condemn":
            replicas.condemn()
        case _:
            replicas.told(1)
            done = replicas.drained([], Reports())
            replicas.stop(done, replicas.target - len(done))


@given(STEPS)
def test_figures_add_up_whatever_happens(steps):
    replicas = Replicas()

    for what, value in steps:
        step(replicas, what, value)

        assert replicas.target >= 0
        assert replicas.leaving >= 0
        assert 0 <= replicas.ready <= replicas.active
        assert 0 <= replicas.draining <= len(replicas.ours()) <= replicas.target
        assert len(draining(replicas)) == replicas.draining
        assert replicas.room == replicas.target + replicas.leaving


@given(STEPS, st.integers(1, 4))
def test_shrinking_makes_just_so_many_fewer_and_resuming_undoes_drains(steps, number):
    replicas = Replicas()
    for what, value in steps:
        step(replicas, what, value)
    number = min(number, replicas.active)
    before, target = replicas.active, replicas.target

    replicas.shrink(number, Reports())

    assert replicas.active == before - number
    unseen = target - replicas.target
    assert replicas.resume(number - unseen) == 0
    assert replicas.active == before - unseen


def test_one_in_the_place_of_another_changes_nothing_that_was_commanded():
    replicas = Replicas()
    replicas.adopt(seen("old-1", "old-2"))

    deaths = replicas.see(seen("old-2", "new-1"))

    assert replicas.target == 2
    assert (deaths.ready, deaths.starting) == (0, 0)


def test_one_that_was_asked_for_takes_nobodys_place():
    replicas = Replicas()
    replicas.adopt(seen("a"))
    replicas.start(1)

    deaths = replicas.see(seen("b"))

    assert replicas.target == 1
    assert deaths.ready + deaths.starting == 1


def test_an_address_is_the_same_fact_until_something_of_it_changes():
    replicas = having("r1", "r2", ready="r1 r2")
    before = replicas.addresses(4)

    after = replicas.addresses(4)

    assert [id(each) for each in after] == [id(each) for each in before]


@pytest.mark.parametrize(
    "moved",
    [
        {"host": "127.0.0.2"},
        {"port": 9001},
        {"ports": (("grpc", 9002),)},
    ],
    ids=lambda moved: next(iter(moved)),
)
def test_a_replica_that_moves_has_a_new_address(moved):
    replicas = having("r1", "r2")
    replicas.addresses(4)
    first, second = seen("r1", "r2")

    replicas.see((replace(first, **moved), second))

    plain = {"replica": "r1", "host": "127.0.0.1", "port": 9000, "slots": 4}
    assert replicas.addresses(4)[0] == Address(**(plain | moved))


def test_an_address_has_the_slots_and_the_drain_of_now():
    replicas = having("r1", ready="r1")
    (before,) = replicas.addresses(4)
    assert replicas.addresses(5) == (replace(before, slots=5),)

    replicas.shrink(1, Reports())
    assert replicas.addresses(5) == (replace(before, slots=5, draining=True),)

    replicas.resume(1)
    assert replicas.addresses(4) == (before,)


def test_nobody_is_given_up_for_nothing():
    assert having("r1", ready="r1").victims(0, Reports()) == []
