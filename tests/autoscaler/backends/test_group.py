"""The replicas of one revision, and which stay when there are too many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.base import Launch
from autoscaler.backends.group import Child, Group, Phase
from autoscaler.core.domain import Replica
from tests.autoscaler.backends.scene import IRIS

LAUNCH = Launch(command=("serve",))


def group_of(phases):
    group = Group(LAUNCH, lines=10)
    for number, phase in enumerate(phases):
        child = Child(IRIS, f"r{number}", number, LAUNCH)
        child.phase = phase
        group.replicas[child.name] = child
    return group


@given(st.lists(st.sampled_from(Phase)))
def test_who_serves_stays_first_and_then_who_is_older(phases):
    staying = group_of(phases).staying()

    assert all(each.phase is not Phase.STOPPING for each in staying)
    ranks = [(each.phase is not Phase.READY, each.number) for each in staying]
    assert ranks == sorted(ranks)
    assert len(staying) == len(phases) - phases.count(Phase.STOPPING)


def test_a_replica_without_a_process_has_no_address():
    group = group_of([Phase.WAITING])
    group.replicas["r0"].port = 8080

    assert group.picture("127.0.0.1") == (Replica(id="r0"),)


def test_only_the_last_lines_are_kept():
    group = group_of([])
    group.lines.extend(str(each) for each in range(100))

    assert list(group.lines) == [str(each) for each in range(90, 100)]
