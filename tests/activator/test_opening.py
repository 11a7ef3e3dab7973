from __future__ import annotations

import pytest

from activator.opening import Opening
from autoscaler.core.domain import Entrance, RevisionKey


class Someone:
    def __init__(self, *, active: bool) -> None:
        self.active = active
        self.drained = 0

    def drain(self) -> None:
        self.drained += 1


@pytest.mark.parametrize("active", [True, False])
def test_closed_it_sends_away_who_has_nothing_under_way(active):
    opening = Opening(RevisionKey("ns", "iris"), Entrance(port=1, name="a"))
    someone = Someone(active=active)
    opening.visitors.add(someone)

    opening.close()

    assert (opening.last, opening.gone) == (True, True)
    assert someone.drained == (0 if active else 1)


def test_it_may_lead_to_another_port_without_being_another():
    opening = Opening(RevisionKey("ns", "iris"), Entrance(port=1, name="a"))

    opening.become(Entrance(port=1, name="b", tunnel=True))

    assert (opening.name, opening.entrance.tunnel, opening.last) == ("b", True, False)
