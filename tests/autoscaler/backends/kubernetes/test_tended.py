from __future__ import annotations

from dataclasses import replace

from autoscaler.backends.kubernetes.slices import Standin
from autoscaler.backends.kubernetes.tended import Tended
from autoscaler.core.domain import Entrance
from tests.autoscaler.backends.kubernetes.town import MANAGED, Town


def made(**changes) -> tuple[Town, Tended]:
    here = Town(replicas=2)
    seen = here.seen(MANAGED)
    assert seen is not None
    return here, Tended(replace(MANAGED, **changes), seen, 0.0)


def test_a_new_revision_is_taken_when_its_pods_are_there_or_when_they_do_not_come():
    here, tended = made()
    assert not tended.adoptable(here.seen(MANAGED), 1.0)
    assert tended.adoptable(here.seen(MANAGED), 5.0)

    here.control()
    assert tended.adoptable(here.seen(MANAGED), 1.0)


def test_what_may_not_go_to_zero_has_a_lower_bound_of_one():
    _, tended = made()
    assert tended.spec().scaling.min_replicas == 0

    tended.refused = "all ports are taken"
    assert tended.spec().scaling.min_replicas == 1

    _, canary = made(floor_why="a canary with traffic")
    assert canary.spec().scaling.min_replicas == 1


def test_one_that_was_spared_is_another_replica():
    here, tended = made()
    here.control()
    first, second = here.pods
    tended.commanded(1, (second,))
    here.replicas = 1
    here.version += 1

    both = tended.picture(here.seen(MANAGED))
    assert {each.id for each in both} == {first, second}

    del here.pods[first]
    (left,) = tended.picture(here.seen(MANAGED))
    assert left.id == f"{second}~1"


def test_a_commanded_count_is_never_below_the_lower_bound():
    _, tended = made(floor_why="a canary with traffic")

    tended.commanded(0, ())

    assert tended.wanted == 1


def test_who_was_not_heard_stays_where_clients_are_led_to_it_and_is_led_to_by_no_other():
    here, tended = made()
    tended.entrances = (Entrance(port=20000, name="http"),)
    silent = Standin(name="activator-1", ips=("10.0.0.9",), heard=False)

    def listed() -> list[str]:
        _, bodies = tended.stand(here.seen(MANAGED), (silent,), 0, 0.0)
        return [a for b in bodies for e in b["endpoints"] for a in e["addresses"]]

    assert listed() == []

    _, bodies = tended.stand(here.seen(MANAGED), (replace(silent, heard=True),), 0, 0.0)
    here.publish(MANAGED.key, MANAGED.service, bodies)
    assert listed() == ["10.0.0.9"]

    tended.entrances = (Entrance(port=20001, name="http"),)
    assert listed() == []
