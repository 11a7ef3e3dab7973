from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.crowd import Crowd
from autoscaler.core.domain import Budget, Replica, RevisionKey
from autoscaler.core.messages import ReplicaLoad, Sample
from autoscaler.core.revision import Revision
from autoscaler.core.room import Answer, Yield
from tests.autoscaler.core.stage import GIB, IRIS, LLM, TEXT, spec

ONE_GIB = Budget(memory=GIB, patience_s=60.0)


def revision(key: RevisionKey, gib: int = 1, **changes) -> Revision:
    return Revision(key, spec(gib=gib, **changes), 0.0)


def picture(*names: str, ready: bool = True) -> tuple[Replica, ...]:
    return tuple(
        Replica(id=name, host="127.0.0.1", port=9000, ready=ready) for name in names
    )


def serving(crowd: Crowd, key: RevisionKey, *names: str, **changes) -> Revision:
    """Return a revision that serves since second 1 and takes room of *crowd*."""
    of = revision(key, **changes)
    of.start(len(names), 1.0)
    of.replicas.see(picture(*names))
    of.say([], 1.0)
    crowd.note(of)
    return of


def heard(of: Revision, now: float, in_flight: int = 0, held: int = 0) -> None:
    loads = tuple(
        ReplicaLoad(replica=each.id, in_flight=in_flight, idle_s=0.0)
        for each in of.replicas.ours()
    )
    of.heard(
        Sample(
            key=of.key, reporter="a", span_s=1.0, concurrency=float(in_flight + held),
            requests=0, held=held, in_flight=in_flight, epoch=0, version=1,
            replicas=loads,
        ),
        now,
    )  # fmt: skip


def answer_all(
    crowd: Crowd, *revisions: Revision, now: float
) -> tuple[list[Answer], list[Yield]]:
    """Ask, and do with *revisions* as was answered."""
    answers, gifts = crowd.place(["a"], now)
    by_key = {of.key: of for of in revisions}
    for answer in answers:
        crowd.answered(by_key[answer.key], answer, now)
        crowd.note(by_key[answer.key])
    for gift in gifts:
        by_key[gift.key].give(gift, now)
    return answers, gifts


@pytest.mark.parametrize(
    ("budget", "limited"),
    [
        pytest.param(Budget(), False, id="no limit"),
        pytest.param(Budget(memory=GIB), True, id="memory"),
        pytest.param(Budget(gpus=1), True, id="gpus"),
        pytest.param(Budget(gpus=0), True, id="no gpu"),
    ],
)
def test_room_is_limited_where_the_machine_is(budget: Budget, limited: bool):
    assert Crowd(budget).limited is limited


def test_where_nobody_waits_nobody_is_asked_anything():
    crowd = Crowd(ONE_GIB)
    serving(crowd, LLM, "llm-1")

    assert crowd.place(["a"], 10.0) == ([], [])
    crowd.changed()
    assert not crowd.unsettled


def test_one_that_waits_and_fits_starts_and_waits_no_more():
    crowd = Crowd(ONE_GIB)
    iris = revision(IRIS)
    crowd.wishes(iris, 1, 10.0)
    assert crowd.unsettled

    answer_all(crowd, iris, now=10.0)

    assert iris.replicas.target == 1
    assert iris.waits_since == inf
    assert crowd.place(["a"], 11.0) == ([], [])


def test_one_that_does_not_fit_says_what_it_waits_for():
    crowd = Crowd(ONE_GIB)
    llm = serving(crowd, LLM, "llm-1")
    heard(llm, 10.0, in_flight=1)
    iris = revision(IRIS)
    crowd.wishes(iris, 1, 10.0)

    answers, gifts = answer_all(crowd, llm, iris, now=10.0)

    assert (answers[0].again_at, gifts) == (70.0, [])
    assert iris.waits == "waits for room: 1 GiB needed, 0 free; default/llm is busy"
    assert iris.replicas.target == 0


def test_a_place_in_the_queue_is_kept_however_often_the_wish_is_made():
    crowd = Crowd(ONE_GIB)
    llm = serving(crowd, LLM, "llm-1")
    heard(llm, 10.0, in_flight=1)
    iris, text = revision(IRIS), revision(TEXT)
    crowd.wishes(text, 1, 10.0)
    crowd.wishes(iris, 1, 11.0)
    crowd.wishes(text, 2, 20.0)

    answers, _ = crowd.place(["a"], 20.0)

    assert [each.key for each in answers] == [TEXT, IRIS]
    assert text.waits_since == 10.0


def test_what_part_of_a_wish_starts_leaves_the_rest_waiting():
    crowd = Crowd(Budget(memory=2 * GIB))
    iris = revision(IRIS)
    crowd.wishes(iris, 3, 10.0)

    answer_all(crowd, iris, now=10.0)

    assert iris.replicas.target == 2
    assert iris.waits_since == 10.0
    assert iris.waits == "waits for room: 1 GiB needed, 0 free"
    answers, _ = crowd.place(["a"], 11.0)
    assert answers[0].start == 0


def test_what_can_never_fit_has_failed_and_waits_no_more():
    crowd = Crowd(ONE_GIB)
    iris = revision(IRIS, gib=2)
    crowd.wishes(iris, 1, 10.0)

    answer_all(crowd, iris, now=10.0)

    assert iris.refusal is not None
    assert iris.refusal.reason == "does not fit: 2 GiB needed, there is 1 GiB"
    assert iris.backoff.refuses
    assert iris.waits_since == inf


def test_what_others_leave_no_room_for_is_blocked_and_waits_no_more():
    crowd = Crowd(ONE_GIB)
    llm = serving(crowd, LLM, "llm-1", min_replicas=1)
    iris = revision(IRIS)
    crowd.wishes(iris, 1, 10.0)

    answer_all(crowd, llm, iris, now=10.0)

    assert iris.blocked.endswith("default/llm always keeps the rest")
    assert not iris.backoff.refuses
    assert iris.waits_since == inf


@pytest.mark.parametrize(
    ("in_flight", "held", "gives"),
    [
        pytest.param(0, 0, True, id="without a request it goes"),
        pytest.param(1, 0, False, id="with one in flight it stays"),
        pytest.param(0, 1, False, id="with one held it stays"),
    ],
)
def test_who_is_idle_goes_by_the_word_of_the_reporters(
    in_flight: int, held: int, gives: bool
):
    crowd = Crowd(ONE_GIB)
    llm = serving(crowd, LLM, "llm-1")
    heard(llm, 10.0, in_flight=in_flight, held=held)
    iris = revision(IRIS)
    crowd.wishes(iris, 1, 10.0)

    _, gifts = answer_all(crowd, llm, iris, now=10.0)

    assert bool(gifts) is gives


def test_who_gives_is_released_when_its_room_is_made():
    crowd = Crowd(ONE_GIB)
    llm = serving(crowd, LLM, "llm-1")
    heard(llm, 10.0)
    iris = revision(IRIS)
    crowd.wishes(iris, 1, 10.0)
    answer_all(crowd, llm, iris, now=10.0)
    llm.replicas.shrink(1, llm.reports)
    assert crowd.released() == []

    llm.stop(["llm-1"])

    assert crowd.released() == [llm]
    assert llm.yields is None
    assert llm.stale
    assert crowd.released() == []


def test_who_gives_is_released_when_nobody_waits_for_it_any_more():
    crowd = Crowd(ONE_GIB)
    llm = serving(crowd, LLM, "llm-1")
    heard(llm, 10.0)
    iris = revision(IRIS)
    crowd.wishes(iris, 1, 10.0)
    answer_all(crowd, llm, iris, now=10.0)
    llm.replicas.shrink(1, llm.reports)
    crowd.settled()

    crowd.wishes_nothing(iris)

    assert crowd.unsettled
    assert crowd.released() == [llm]


def test_who_took_its_word_back_gives_no_more():
    crowd = Crowd(ONE_GIB)
    llm = serving(crowd, LLM, "llm-1")
    heard(llm, 10.0)
    iris = revision(IRIS)
    crowd.wishes(iris, 1, 10.0)
    answer_all(crowd, llm, iris, now=10.0)

    llm.yields = None

    assert crowd.released() == [llm]


def test_who_waits_for_nothing_can_say_so_again():
    crowd = Crowd(ONE_GIB)
    iris = revision(IRIS)

    crowd.wishes_nothing(iris)

    assert not crowd.unsettled


def test_what_is_settled_is_unsettled_by_a_change_only():
    crowd = Crowd(ONE_GIB)
    llm = serving(crowd, LLM, "llm-1")
    iris = revision(IRIS)
    crowd.wishes(iris, 1, 10.0)
    answer_all(crowd, llm, iris, now=10.0)

    crowd.settled()
    assert not crowd.unsettled

    crowd.changed()
    assert crowd.unsettled


def test_what_was_removed_takes_room_until_a_picture_is_without_it():
    crowd = Crowd(ONE_GIB)
    llm = serving(crowd, LLM, "llm-1")
    iris = revision(IRIS)
    crowd.wishes(iris, 1, 10.0)

    crowd.went(llm)
    answers, _ = answer_all(crowd, iris, now=10.0)
    assert answers[0].reason.endswith("default/llm is going")
    crowd.saw_rest(LLM, picture("llm-1"))
    assert answer_all(crowd, iris, now=11.0)[0][0].start == 0

    crowd.saw_rest(LLM, ())
    assert answer_all(crowd, iris, now=12.0)[0][0].start == 1


def test_what_was_removed_without_a_replica_leaves_nothing():
    crowd = Crowd(ONE_GIB)
    llm, iris = revision(LLM), revision(IRIS)
    crowd.wishes(llm, 1, 9.0)
    crowd.wishes(iris, 1, 10.0)

    crowd.went(llm)

    answers, _ = answer_all(crowd, iris, now=10.0)
    assert [(each.key, each.start) for each in answers] == [(IRIS, 1)]


def test_a_picture_of_what_never_was_changes_nothing():
    crowd = Crowd(ONE_GIB)
    llm = serving(crowd, LLM, "llm-1")
    iris = revision(IRIS)
    crowd.wishes(iris, 1, 10.0)
    answer_all(crowd, llm, iris, now=10.0)
    crowd.settled()

    crowd.saw_rest(TEXT, picture("text-1"))

    assert not crowd.unsettled


def test_who_gives_and_is_removed_gives_by_going():
    crowd = Crowd(ONE_GIB)
    llm = serving(crowd, LLM, "llm-1")
    heard(llm, 10.0)
    iris = revision(IRIS)
    crowd.wishes(iris, 1, 10.0)
    answer_all(crowd, llm, iris, now=10.0)

    crowd.went(llm)

    assert crowd.released() == []
    crowd.saw_rest(LLM, ())
    assert answer_all(crowd, iris, now=11.0)[0][0].start == 1


def test_one_that_comes_back_takes_over_what_is_left_of_it():
    crowd = Crowd(ONE_GIB)
    llm = serving(crowd, LLM, "llm-1")
    crowd.went(llm)
    again = revision(LLM)

    crowd.came(again)

    assert (again.replicas.target, again.replicas.room) == (0, 1)
    iris = revision(IRIS)
    crowd.wishes(iris, 1, 10.0)
    answers, _ = answer_all(crowd, again, iris, now=10.0)
    assert answers[0].reason.endswith("default/llm is going")
    again.replicas.see(())
    crowd.note(again)
    assert answer_all(crowd, iris, now=11.0)[0][0].start == 1


def test_one_that_is_new_has_nothing():
    crowd = Crowd(ONE_GIB)
    llm = revision(LLM)

    crowd.came(llm)

    assert llm.replicas.room == 0
    assert not llm.shown


KEYS = [RevisionKey("default", name) for name in "abcd"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["wish", "wish two", "nothing", "ready", "busy", "went"]),
            st.sampled_from(KEYS),
        ),
        max_size=30,
    ),
    st.integers(1, 4),
)
def test_room_is_never_given_away_twice_whatever_happens(calls, gib):
    crowd = Crowd(Budget(memory=gib * GIB, patience_s=10.0))
    revisions = {key: revision(key) for key in KEYS}
    now, names = 0.0, 0

    for what, key in calls:
        now += 5.0
        of = revisions[key]
        match what:
            case "wish" | "wish two":
                crowd.wishes(of, 1 + (what == "wish two"), now)
            case "nothing":
                crowd.wishes_nothing(of)
            case "ready" | "busy":
                shown = [each.id for each in of.replicas.ours()]
                while len(shown) < of.replicas.target:
                    names += 1
                    shown.append(f"r{names}")
                of.replicas.see(picture(*shown))
                heard(of, now, in_flight=int(what == "busy"))
            case _:
                crowd.went(of)
                # The next picture shows nothing more of it.
                crowd.saw_rest(key, ())
                of = revisions[key] = revision(key)
                crowd.came(of)
        crowd.note(of)
        of.say([], now)

        crowd.released()
        _, gifts = answer_all(crowd, *revisions.values(), now=now)
        for gift in gifts:
            giver = revisions[gift.key]
            giver.replicas.shrink(giver.replicas.active - gift.keep, giver.reports)
            done = [each.id for each in giver.replicas.ours() if each.draining]
            giver.stop(done)

        assert sum(each.replicas.room for each in revisions.values()) <= gib


def test_who_is_worth_least_makes_room_where_that_is_known():
    crowd = Crowd(Budget(memory=2 * GIB, patience_s=60.0))
    old, new = serving(crowd, LLM, "a"), serving(crowd, IRIS, "b")
    heard(old, 5.0, in_flight=1)
    heard(new, 8.0, in_flight=1)
    for each in (old, new):
        heard(each, 10.0)
    crowd.wishes(revision(TEXT), 1, 10.0)

    def gives() -> list[RevisionKey]:
        return [gift.key for gift in crowd.place(["a"], 10.0)[1]]

    assert gives() == [LLM]

    old.worth, new.worth = 3.0, 2.0
    assert gives() == [IRIS]
