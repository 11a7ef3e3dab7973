"""What every backend promises, as scenes that any of them must pass.

A test module of a backend makes a Stage and plays each of SCENES on it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from autoscaler.backends.base import Backend, Launch
from autoscaler.core.domain import RevisionKey
from tests.autoscaler.backends.scene import BERT, IRIS, Witness


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    backend: Backend
    witness: Witness
    good: Launch
    """Runs until it is stopped."""
    bad: Launch
    """Ends at once with exit status 7, saying `no model`."""
    kill: Callable[[RevisionKey, str], Awaitable[None]]
    """End a replica behind the backend's back."""


async def replicas_are_as_many_as_asked_each_with_a_name_and_an_address(on: Stage):
    on.backend.configure(IRIS, on.good)
    on.backend.scale(IRIS, 2, ())
    first = await on.witness.count(IRIS, 2)
    on.backend.scale(IRIS, 3, ())
    grown = await on.witness.count(IRIS, 3)

    assert {each.id for each in first} < {each.id for each in grown}
    assert len({(each.host, each.port) for each in grown}) == 3


async def a_new_revision_has_no_replica(on: Stage):
    on.backend.configure(IRIS, on.good)
    on.backend.configure(BERT, on.good)
    on.backend.scale(BERT, 1, ())
    await on.witness.count(BERT, 1)

    assert on.witness.pictures.get(IRIS, ()) == ()


async def those_named_go_and_the_others_stay(on: Stage):
    on.backend.configure(IRIS, on.good)
    on.backend.scale(IRIS, 3, ())
    one, two, three = await on.witness.count(IRIS, 3)
    for each in (one, two, three):
        on.backend.ready(IRIS, each.id)
    on.backend.scale(IRIS, 1, (one.id, three.id))
    left = await on.witness.count(IRIS, 1)

    assert left == (two,)
    assert on.witness.failures == []


async def at_zero_nothing_is_left_and_from_zero_it_comes_back_new(on: Stage):
    on.backend.configure(IRIS, on.good)
    on.backend.scale(IRIS, 1, ())
    (before,) = await on.witness.count(IRIS, 1)
    on.backend.scale(IRIS, 0, (before.id,))
    await on.witness.count(IRIS, 0)
    on.backend.scale(IRIS, 1, ())
    (after,) = await on.witness.count(IRIS, 1)

    assert after.id != before.id


async def the_same_order_twice_is_one(on: Stage):
    on.backend.configure(IRIS, on.good)
    on.backend.scale(IRIS, 2, ())
    on.backend.scale(IRIS, 2, ())
    first = await on.witness.count(IRIS, 2)
    on.backend.scale(IRIS, 2, ("no-such-replica",))
    on.backend.scale(IRIS, 1, (first[0].id,))
    on.backend.scale(IRIS, 1, (first[0].id,))

    assert await on.witness.count(IRIS, 1) == first[1:]


async def a_start_that_fails_is_told_before_the_picture_without_it(on: Stage):
    on.backend.configure(IRIS, on.bad)
    on.backend.scale(IRIS, 1, ())
    failure = await on.witness.failure()
    await on.witness.count(IRIS, 0)

    assert failure.final
    assert failure.reason == "exit status 7: no model"
    kinds = [kind for kind, *_ in on.witness.told]
    assert kinds[-2:] == ["failed", "observed"]


async def a_death_after_ready_is_no_final_failure(on: Stage):
    on.backend.configure(IRIS, on.good)
    on.backend.scale(IRIS, 2, ())
    victim, other = await on.witness.count(IRIS, 2)
    for each in (victim, other):
        on.backend.ready(IRIS, each.id)
    await on.kill(IRIS, victim.id)

    assert await on.witness.count(IRIS, 1) == (other,)
    assert not any(each.final for each in on.witness.failures)


async def what_is_configured_anew_counts_for_the_next_start_only(on: Stage):
    on.backend.configure(IRIS, on.good)
    on.backend.scale(IRIS, 1, ())
    (kept,) = await on.witness.count(IRIS, 1)
    on.backend.configure(IRIS, on.bad)
    on.backend.scale(IRIS, 2, ())
    await on.witness.failure()

    assert await on.witness.count(IRIS, 1) == (kept,)


async def what_is_removed_goes_and_can_come_back(on: Stage):
    on.backend.configure(IRIS, on.good)
    on.backend.scale(IRIS, 2, ())
    await on.witness.count(IRIS, 2)
    on.backend.remove(IRIS)
    await on.witness.count(IRIS, 0)
    on.backend.scale(IRIS, 1, ())
    on.backend.configure(IRIS, on.good)
    on.backend.scale(IRIS, 1, ())

    await on.witness.count(IRIS, 1)


async def who_is_not_known_is_left_alone(on: Stage):
    on.backend.scale(IRIS, 3, ())
    on.backend.ready(IRIS, "nobody")
    on.backend.remove(IRIS)
    on.backend.configure(BERT, on.good)
    on.backend.scale(BERT, 1, ())
    await on.witness.count(BERT, 1)

    assert {key for _, key, _ in on.witness.told} == {BERT}


SCENES = (
    replicas_are_as_many_as_asked_each_with_a_name_and_an_address,
    a_new_revision_has_no_replica,
    those_named_go_and_the_others_stay,
    at_zero_nothing_is_left_and_from_zero_it_comes_back_new,
    the_same_order_twice_is_one,
    a_start_that_fails_is_told_before_the_picture_without_it,
    a_death_after_ready_is_no_final_failure,
    what_is_configured_anew_counts_for_the_next_start_only,
    what_is_removed_goes_and_can_come_back,
    who_is_not_known_is_left_alone,
)
