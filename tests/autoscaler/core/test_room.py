from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.domain import Budget, Needs, RevisionKey
from autoscaler.core.room import Answer, Tenant, Wish, Yield, place

GIB = 1 << 30
NAMES = "abcdefgh"
NOW = 1000.0


def key(name: str) -> RevisionKey:
    return RevisionKey("default", name)


def needs(gib: float = 1, gpus: int = 0) -> Needs:
    return Needs(memory=int(gib * GIB), gpus=gpus)


def machine(gib: float | None = None, gpus: int | None = None) -> Budget:
    memory = None if gib is None else int(gib * GIB)
    return Budget(memory=memory, gpus=gpus, patience_s=60.0)


def tenant(name: str, gib: float = 1, **changes) -> Tenant:
    """Return a tenant with one busy replica, which serves since long."""
    of = Tenant(key=key(name), needs=needs(gib), staying=1, ready_at=0.0)
    return replace(of, **changes)


def idle(name: str, gib: float = 1, **changes) -> Tenant:
    return tenant(name, gib, **{"idle": True, "used_at": NOW - 5.0, **changes})


def wish(name: str, gib: float = 1, **changes) -> Wish:
    """Return a wish for one replica that nobody serves for, of this moment."""
    of = Wish(key=key(name), needs=needs(gib), lack=1, since=NOW, starved=True)
    return replace(of, **changes)


def one(budget: Budget, tenants: list[Tenant], wanted: Wish) -> tuple[Answer, str]:
    """Return the answer to one wish, and who makes room for it as words."""
    (answer,), yields = place(budget, tenants, [wanted], NOW)
    return answer, told(yields)


def told(yields: list[Yield]) -> str:
    return ", ".join(
        f"{'busy ' if each.busy else ''}{each.key.name} keeps {each.keep}"
        f" for {each.to.name}"
        for each in yields
    )


def test_nobody_wishes_and_nobody_is_answered():
    assert place(machine(1), [idle("a")], [], NOW) == ([], [])


def test_what_fits_starts_and_nobody_goes():
    answer, yields = one(machine(3), [idle("a"), tenant("b")], wish("c"))

    assert answer == Answer(key=key("c"), start=1)
    assert yields == ""


def test_without_a_limit_all_fit():
    answer, _ = one(machine(), [tenant("a", gib=4096)], wish("b", gib=4096, lack=99))

    assert answer == Answer(key=key("b"), start=99)


@pytest.mark.parametrize(
    ("budget", "needed"),
    [
        pytest.param(machine(gib=1), Needs(gpus=9), id="memory is full"),
        pytest.param(machine(gpus=1), Needs(memory=9 * GIB), id="gpus are full"),
        pytest.param(machine(gib=1, gpus=1), Needs(), id="both are full"),
    ],
)
def test_what_needs_nothing_of_a_kind_fits_though_too_much_of_it_is_given_away(
    budget: Budget, needed: Needs
):
    fat = tenant("a", needs=Needs(memory=4 * GIB, gpus=4))

    answer, yields = one(budget, [fat], wish("b", needs=needed))

    assert (answer.start, yields) == (1, "")


def test_the_idle_one_that_was_idle_longest_goes():
    tenants = [idle("a", used_at=900.0), idle("b", used_at=800.0), tenant("c")]

    answer, yields = one(machine(3), tenants, wish("d"))

    assert yields == "b keeps 0 for d"
    assert answer.reason == (
        "waits for room: 1 GiB needed, 0 free; default/b makes room"
    )
    assert (answer.start, answer.again_at) == (0, inf)


def test_nobody_goes_for_one_more_replica_of_what_has_no_request_itself():
    tenants = [idle("a"), idle("b", used_at=800.0)]

    answer, yields = one(machine(2), tenants, wish("a", starved=False))

    assert yields == ""
    assert answer.reason == (
        "waits for room: 1 GiB needed, 0 free; nobody goes for one more of what has no "
        "request"
    )
    assert (answer.start, answer.again_at) == (0, inf)


@pytest.mark.parametrize(
    ("wisher", "starved"),
    [
        pytest.param([tenant("a")], False, id="it is busy"),
        pytest.param([idle("a", used_at=NOW - 1.0)], False, id="it was just now"),
        pytest.param([idle("a", floor=2)], False, id="it always keeps as many"),
        pytest.param([idle("a", staying=0, going=1)], True, id="it has none at all"),
        pytest.param([], False, id="it is not known yet"),
    ],
)
def test_who_is_idle_goes_for_one_that_is_not_or_that_must_be_there(wisher, starved):
    other = idle("b", used_at=800.0, staying=2)

    _, yields = one(machine(3), [*wisher, other], wish("a", gib=2, starved=starved))

    assert yields.startswith("b keeps 0 for a")


def test_of_those_idle_equally_long_the_first_by_name_goes():
    _, yields = one(machine(2), [idle("b"), idle("a")], wish("c"))

    assert yields == "a keeps 0 for c"


def test_one_that_is_enough_alone_goes_rather_than_several():
    tenants = [idle("a", used_at=800.0), idle("b", gib=2, used_at=900.0)]

    _, yields = one(machine(3), tenants, wish("c", gib=2))

    assert yields == "b keeps 0 for c"


def test_several_go_where_none_is_enough_alone():
    tenants = [idle("a", used_at=800.0), idle("b", used_at=900.0), idle("c")]

    answer, yields = one(machine(3), tenants, wish("d", gib=2))

    assert yields == "a keeps 0 for d, b keeps 0 for d"
    assert answer.reason.endswith("; default/a and default/b make room")


def test_nobody_goes_whom_a_later_one_makes_needless():
    # The first is too small alone; the next two together are enough without it.
    tenants = [
        idle("a", gib=1, used_at=700.0),
        idle("b", gib=2, used_at=800.0),
        idle("c", gib=2, used_at=900.0),
    ]

    _, yields = one(machine(5), tenants, wish("d", gib=4))

    assert yields == "b keeps 0 for d, c keeps 0 for d"


def test_nobody_goes_who_has_nothing_of_what_is_missing():
    tenants = [
        idle("a", used_at=700.0, needs=needs(gib=4)),
        idle("b", used_at=800.0, needs=needs(gib=0, gpus=1)),
        idle("c", used_at=900.0, needs=needs(gib=0, gpus=1)),
    ]

    _, yields = one(machine(gib=8, gpus=2), tenants, wish("d", needs=needs(1, 2)))

    assert yields == "b keeps 0 for d, c keeps 0 for d"


def test_idle_ones_that_are_too_few_together_stay():
    tenants = [idle("a"), tenant("b", gib=3)]

    answer, yields = one(machine(4), tenants, wish("c", gib=2))

    assert yields == ""
    assert answer.reason.endswith("; default/b is busy")


def test_an_idle_one_keeps_its_floor():
    kept = idle("a", staying=3, floor=1)

    _, yields = one(machine(3), [kept], wish("b"))

    assert yields == "a keeps 1 for b"


def test_a_busy_one_gives_no_more_replicas_than_are_needed():
    big = tenant("a", staying=4)

    _, yields = one(machine(4), [big], wish("b", gib=2, since=NOW - 60.0))

    assert yields == "busy a keeps 2 for b"


def test_a_busy_one_goes_only_when_the_wish_has_waited_out_the_patience():
    soon, none = one(machine(1), [tenant("a")], wish("b", since=NOW - 59.0))
    late, some = one(machine(1), [tenant("a")], wish("b", since=NOW - 60.0))

    assert (none, soon.again_at) == ("", NOW + 1.0)
    assert soon.reason.endswith("; default/a is busy")
    assert (some, late.again_at) == ("busy a keeps 0 for b", inf)
    assert late.reason.endswith("; default/a makes room")


def test_a_busy_one_serves_as_long_as_the_patience_before_it_goes():
    fresh = tenant("a", ready_at=NOW - 10.0)

    answer, yields = one(machine(1), [fresh], wish("b", since=0.0))

    assert (yields, answer.again_at) == ("", NOW + 50.0)


def test_the_busy_one_that_has_served_longest_goes():
    tenants = [tenant("a", ready_at=500.0), tenant("b", ready_at=400.0)]

    _, yields = one(machine(2), tenants, wish("c", since=0.0))

    assert yields == "busy b keeps 0 for c"


def test_an_idle_one_goes_before_a_busy_one():
    tenants = [tenant("a"), idle("b")]

    _, yields = one(machine(2), tenants, wish("c", since=0.0))

    assert yields == "b keeps 0 for c"


def test_idle_and_busy_ones_go_together_where_neither_are_enough():
    tenants = [tenant("a"), idle("b")]

    _, yields = one(machine(2), tenants, wish("c", gib=2, since=0.0))

    assert yields == "b keeps 0 for c, busy a keeps 0 for c"


def test_a_busy_one_never_goes_for_one_that_is_served_already():
    served = wish("b", since=0.0, starved=False)

    answer, yields = one(machine(1), [tenant("a")], served)

    assert (yields, answer.again_at) == ("", inf)
    assert answer.reason.endswith("; default/a is busy")


def test_a_busy_one_never_goes_for_more_than_the_first_replica():
    answer, yields = one(machine(2), [tenant("a")], wish("b", lack=2, since=0.0))

    assert (answer.start, yields, answer.again_at) == (1, "", inf)
    assert answer.reason == "waits for room: 1 GiB needed, 0 free; default/a is busy"


def test_one_that_is_starting_completes():
    answer, yields = one(
        machine(1), [idle("a", ready_at=inf)], wish("b", since=NOW - 999.0)
    )

    assert yields == ""
    assert answer.reason.endswith("; default/a is starting")


def test_a_wish_gives_up_nothing_of_its_own():
    own = idle("a", gib=1)

    answer, yields = one(machine(1), [own], wish("a", starved=False))

    assert (answer.start, yields) == (0, "")
    assert answer.reason == "waits for room: 1 GiB needed, 0 free"


def test_nobody_goes_while_those_that_are_going_leave_enough():
    tenants = [tenant("a", staying=0, going=1), idle("b")]

    answer, yields = one(machine(2), tenants, wish("c"))

    assert yields == ""
    assert answer.reason.endswith("; default/a is going")


def test_who_goes_makes_only_the_room_that_those_who_are_going_do_not():
    tenants = [tenant("a", staying=0, going=1), idle("b"), idle("c")]

    _, yields = one(machine(3), tenants, wish("d", gib=2))

    assert yields == "b keeps 0 for d"


def test_what_is_put_aside_is_taken_by_none_that_came_later():
    tenants = [idle("a", gib=2)]
    early = wish("b", gib=3, since=1.0)
    late = wish("c", gib=1, since=2.0)

    answers, yields = place(machine(3), tenants, [late, early], NOW)

    assert [answer.key.name for answer in answers] == ["b", "c"]
    assert [answer.start for answer in answers] == [0, 0]
    assert told(yields) == "a keeps 0 for b"
    assert answers[1].reason == (
        "waits for room: what is free is for those before it; default/b is before it"
    )


def test_who_is_served_by_nobody_is_answered_before_who_came_earlier():
    more = wish("a", since=1.0, starved=False)

    answers, _ = place(machine(1), [], [more, wish("b", since=2.0)], NOW)

    assert [(each.key.name, each.start) for each in answers] == [("b", 1), ("a", 0)]


def test_equal_wishes_are_answered_by_name():
    answers, _ = place(machine(1), [], [wish("b"), wish("a")], NOW)

    assert [(each.key.name, each.start) for each in answers] == [("a", 1), ("b", 0)]


def test_one_that_goes_for_one_wish_is_no_help_to_the_next():
    tenants = [idle("a"), idle("b")]

    answers, yields = place(machine(2), tenants, [wish("c"), wish("d")], NOW)

    assert told(yields) == "a keeps 0 for c, b keeps 0 for d"
    assert [answer.start for answer in answers] == [0, 0]


def test_what_is_more_than_the_machine_never_fits():
    answer, yields = one(machine(gib=2, gpus=1), [], wish("a", needs=needs(3, 2)))

    assert answer == Answer(
        key=key("a"),
        reason=(
            "does not fit: 3 GiB needed, there is 2 GiB and 2 GPUs needed, there is 1"
        ),
        never=True,
        final=True,
    )
    assert yields == ""


def test_what_others_always_keep_is_never_room():
    tenants = [
        tenant("a", floor=1), tenant("b", staying=2, floor=1), idle("c"),
    ]  # fmt: skip

    answer, yields = one(machine(4), tenants, wish("d", gib=3))

    assert (answer.never, answer.final, yields) == (True, False, "")
    assert answer.reason == (
        "waits for room: 3 GiB needed, can be free 2 GiB; "
        "default/a and default/b always keep the rest"
    )


def test_a_floor_that_is_not_there_yet_keeps_nothing():
    answer, yields = one(machine(1), [idle("a", floor=3)], wish("b"))

    assert (answer.start, yields) == (0, "")
    assert answer.never

    answer, _ = one(machine(1), [tenant("a", staying=0, floor=3)], wish("b"))

    assert answer.start == 1


def test_what_one_keeps_itself_is_no_reason_against_its_own_wish():
    own = tenant("a", staying=0, going=1, floor=1)

    answer, _ = one(machine(1), [own], wish("a"))

    assert not answer.never
    assert answer.reason.endswith("; default/a is going")


def test_who_is_served_waits_for_what_can_never_be():
    answer, _ = one(machine(1), [tenant("a", floor=1)], wish("b", starved=False))

    assert (answer.never, answer.start) == (False, 0)
    assert answer.reason == "waits for room: 1 GiB needed, 0 free"


def test_a_reason_names_three_and_counts_the_others():
    tenants = [tenant(name) for name in "abcde"]

    answer, _ = one(machine(5), tenants, wish("f"))

    assert answer.reason.endswith(
        "; default/a, default/b, default/c and 2 more are busy"
    )


def test_a_reason_names_memory_and_gpus_as_people_do():
    tenants = [tenant("a", needs=Needs(memory=GIB, gpus=1))]

    answer, _ = one(machine(gib=1.2, gpus=1), tenants, wish("b", needs=needs(0.5, 1)))

    assert answer.reason == (
        "waits for room: 512 MiB needed, 204.8 MiB free and 1 GPU needed, 0 free; "
        "default/a is busy"
    )


SIZES = st.builds(
    Needs,
    memory=st.integers(0, 4).map(lambda gib: gib * GIB),
    gpus=st.integers(0, 2),
)
BUDGETS = st.builds(
    Budget,
    memory=st.none() | st.integers(0, 12).map(lambda gib: gib * GIB),
    gpus=st.none() | st.integers(0, 4),
    patience_s=st.sampled_from([0.0, 60.0]),
)
TIMES = st.sampled_from([0.0, 930.0, 940.0, 950.0, 999.0])


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Budget, list[Tenant], list[Wish]]:
    """Return a machine, who is on it and who wants to be; nobody is over its means."""
    budget = draw(BUDGETS)
    names = draw(st.permutations(NAMES))
    of = {name: draw(SIZES) for name in names}
    tenants = [
        Tenant(
            key=key(name),
            needs=of[name],
            staying=draw(st.integers(0, 3)),
            going=draw(st.integers(0, 2)),
            floor=draw(st.integers(0, 1)),
            idle=draw(st.booleans()),
            used_at=draw(TIMES),
            ready_at=draw(TIMES | st.just(inf)),
        )
        for name in names[: draw(st.integers(0, 5))]
    ]
    there = {each.key: each for each in tenants}
    wishes = [
        Wish(
            key=key(name),
            needs=of[name],
            lack=draw(st.integers(1, 3)),
            since=draw(TIMES),
            starved=not (key(name) in there and there[key(name)].staying),
        )
        for name in draw(st.permutations(names))[: draw(st.integers(0, 4))]
    ]
    return budget, tenants, wishes


def used(of: list[tuple[Needs, int]]) -> tuple[int, int]:
    return (
        sum(need.memory * count for need, count in of),
        sum(need.gpus * count for need, count in of),
    )


def within(budget: Budget, of: list[tuple[Needs, int]], needed: Needs) -> bool:
    """Say whether *of* leaves *budget* whole in what *needed* takes."""
    memory, gpus = used(of)
    return not (
        (needed.memory and budget.memory is not None and memory > budget.memory)
        or (needed.gpus and budget.gpus is not None and gpus > budget.gpus)
    )


@given(crowds())
def test_what_starts_is_never_more_than_there_is(crowd):
    budget, tenants, wishes = crowd

    answers, _ = place(budget, tenants, wishes, NOW)

    by_key = {each.key: each for each in wishes}
    there = [(each.needs, each.staying + each.going) for each in tenants]
    there += [(by_key[each.key].needs, each.start) for each in answers]
    for answer in answers:
        if answer.start:
            assert within(budget, there, by_key[answer.key].needs)


@given(crowds())
def test_each_wish_is_answered_once_and_says_why_it_is_not_met(crowd):
    budget, tenants, wishes = crowd

    answers, _ = place(budget, tenants, wishes, NOW)

    lacks = {each.key: each.lack for each in wishes}
    assert sorted(each.key for each in answers) == sorted(lacks)
    for answer in answers:
        assert 0 <= answer.start <= lacks[answer.key]
        assert (answer.reason == "") == (answer.start == lacks[answer.key])
        assert answer.never or not answer.final
        assert answer.again_at > NOW


@given(crowds())
def test_nobody_gives_below_its_floor_or_while_it_starts_or_before_its_time(crowd):
    budget, tenants, wishes = crowd

    _, yields = place(budget, tenants, wishes, NOW)

    there = {each.key: each for each in tenants}
    wish_of = {each.key: each for each in wishes}
    for each in yields:
        giver, taker = there[each.key], wish_of[each.to]
        assert each.key != each.to
        assert giver.floor <= each.keep < giver.staying
        assert giver.ready_at < inf
        assert each.busy == (not giver.idle)
        if each.busy:
            assert taker.starved
            assert max(taker.since, giver.ready_at) + budget.patience_s <= NOW


@given(crowds())
def test_nobody_goes_for_one_that_then_does_not_fit(crowd):
    budget, tenants, wishes = crowd

    answers, yields = place(budget, tenants, wishes, NOW)

    # Once all are gone who go, the first that somebody went for can start.
    gone = {each.key: each.keep for each in yields}
    wish_of = {each.key: each for each in wishes}
    there = [(e.needs, min(e.staying, gone.get(e.key, e.staying))) for e in tenants]
    there += [(wish_of[each.key].needs, each.start) for each in answers]
    for answer in answers:
        if any(each.to == answer.key for each in yields):
            needed = wish_of[answer.key].needs
            assert within(budget, [*there, (needed, 1)], needed)
            break


@given(crowds(), st.randoms(use_true_random=False))
def test_the_order_in_which_they_are_named_changes_no_answer(crowd, chance):
    budget, tenants, wishes = crowd
    answers, yields = place(budget, tenants, wishes, NOW)

    chance.shuffle(wishes)

    assert place(budget, tenants, wishes, NOW) == (answers, yields)


@given(crowds())
def test_one_that_nobody_serves_does_not_wait_for_ever(crowd):
    """Play on: who goes is gone, who starts is ready, and patience passes."""
    budget, tenants, wishes = crowd
    wishes = [replace(each, lack=1) for each in wishes if each.starved]
    there = {each.key: each for each in tenants}
    # What starts has become ready, one way or the other.
    for each in tenants:
        if each.ready_at == inf:
            there[each.key] = replace(each, ready_at=NOW)
    waiting = {each.key: each for each in wishes}
    now = NOW

    for _ in range(40):
        for each in list(there.values()):
            there[each.key] = replace(each, going=0)
        answers, yields = place(budget, list(there.values()), waiting.values(), now)
        for answer in answers:
            of = waiting[answer.key]
            if answer.never:
                del waiting[of.key]
            elif answer.start:
                had = there.get(of.key)
                there[of.key] = Tenant(
                    key=of.key,
                    needs=of.needs,
                    staying=1,
                    floor=had.floor if had else 0,
                    ready_at=now,
                )
                del waiting[of.key]
        for gift in yields:
            giver = there[gift.key]
            there[gift.key] = replace(
                giver, staying=gift.keep, going=giver.staying - gift.keep
            )
        now += max(budget.patience_s, 1.0)

    assert not waiting
