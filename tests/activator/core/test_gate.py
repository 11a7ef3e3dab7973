from __future__ import annotations

from dataclasses import replace

import pytest

from activator.core.balance import first_free, least_of_two
from activator.core.gate import Gate
from activator.core.ticket import Endpoint, Ticket
from autoscaler.core.domain import GateSpec, Probe, RevisionKey
from autoscaler.core.messages import Address, Refusal, View

KEY = RevisionKey("ns", "llm")


def at(
    replica: str, slots: int = 1, *, port: int = 9000, draining=False, ports=()
) -> Address:
    return Address(
        replica=replica,
        host="h",
        port=port,
        slots=slots,
        draining=draining,
        ports=ports,
    )


def view(*addresses: Address, **more) -> View:
    more.setdefault("gate", GateSpec(container_concurrency=1))
    return View(key=KEY, version=1, epoch=1, probe=Probe(), addresses=addresses, **more)


def gate(*addresses: Address, ready: bool = True, **more) -> Gate:
    made = Gate(KEY)
    made.see(view(*addresses, **more), 0.0)
    for endpoint in made.endpoints.values():
        endpoint.ready = ready
    made.sort()
    return made


def names(free: list[Endpoint]) -> list[str]:
    assert [each.place for each in free] == list(range(len(free)))
    return [each.replica for each in free]


def test_who_is_ready_and_stays_and_has_a_slot_is_free_and_the_first_is_used_first():
    door = gate(at("a"), at("b", draining=True), at("c", 0), at("d", -1))
    door.endpoints["a"].in_flight = 0

    assert names(door.free) == ["d", "a"]
    assert door.choose is first_free
    assert door.choose(door.free, 0.5, 0.0).replica == "a"


@pytest.mark.parametrize(
    "shut",
    [
        {"paused": "makes room for ns/iris"},
        {"refusal": Refusal(reason="no", retry_after_s=1.0)},
    ],
    ids=["paused", "refused"],
)
def test_nobody_is_free_behind_a_shut_door(shut):
    door = gate(at("a"))
    assert names(door.free) == ["a"]

    door.see(view(at("a"), **shut), 1.0)
    assert door.free == []
    assert not door.endpoints["a"].open

    door.see(view(at("a")), 2.0)
    assert names(door.free) == ["a"]

    door.close()
    assert door.free == []


def test_an_endpoint_is_the_same_object_while_the_view_has_its_replica():
    door = gate(at("a"), at("b"))
    a, b = door.endpoints.values()

    door.see(view(at("b", 3), at("a")), 1.0)

    assert list(door.endpoints.values()) == [b, a]
    assert b.slots == 3
    assert a.ready


def test_an_endpoint_that_moved_has_to_show_that_it_is_ready():
    door = gate(at("a"))

    door.see(view(at("a", port=9001)), 1.0)

    assert not door.endpoints["a"].ready
    assert door.free == []


def test_an_endpoint_that_comes_back_has_what_it_had_in_flight():
    door = gate(at("a"), at("b"))
    a = door.endpoints["a"]
    a.in_flight = 1

    door.see(view(), 1.0)
    assert door.leaving == {"a": a}
    assert not a.open
    assert [load.replica for load in door.loads(2.0)] == ["a"]

    door.see(view(at("a"), at("b")), 2.0)
    assert door.endpoints["a"] is a
    assert door.leaving == {}


def kept(replica: str, slots: int) -> Address:
    return replace(at(replica, slots), kept=True)


def test_who_just_began_to_lead_gives_no_more_than_there_was():
    door = gate(at("a", 1), at("b", 3), at("c", -1), at("d", 2), at("e", 2))

    door.see(view(kept("a", 2), kept("b", 2), kept("c", 2), kept("new", 2)), 1.0)
    door.see(view(*map(kept, "abcd", (2, 2, 2, 2))), 2.0)

    slots = {name: each.slots for name, each in door.endpoints.items()}
    assert slots == {"a": 1, "b": 2, "c": 2, "d": 0}


def test_what_may_be_used_is_reported_unless_it_has_no_limit():
    door = gate(at("a", 2), at("b", -1), at("c", 1))
    door.endpoints["c"].in_flight = 1
    assert [each.slots for each in door.loads(0.0)] == [2, None, 1]

    door.see(view(at("a", 2), at("b", 5)), 1.0)

    assert [each.slots for each in door.loads(1.0)] == [2, 5, 0]


def test_a_drain_that_was_taken_back_is_said_again():
    door = gate(at("a", draining=True))
    a = door.endpoints["a"]
    a.drained = True

    door.see(view(at("a", draining=True)), 1.0)
    assert a.drained
    door.see(view(at("a")), 2.0)
    assert not a.drained


def test_who_is_dropped_from_the_middle_leaves_no_gap():
    door = gate(at("a"), at("b"), at("c"))
    assert names(door.free) == ["c", "b", "a"]

    door.drop(door.endpoints["c"])
    assert names(door.free) == ["a", "b"]
    door.drop(door.endpoints["b"])
    assert names(door.free) == ["a"]
    assert door.endpoints["b"].place == -1


def test_a_failed_request_goes_to_another_and_only_at_last_to_the_same():
    door = gate(at("a"), at("b"), gate=GateSpec())
    assert door.choose is least_of_two
    a, b = door.endpoints.values()

    assert door.another(a, 0.0, 0.0) is b
    assert door.another(a, 0.9, 0.0) is b
    door.drop(b)
    b.in_flight = 1
    assert door.another(a, 0.0, 0.0) is a
    door.drop(a)
    assert door.another(a, 0.0, 0.0) is a  # its own slot is free again
    door.drop(a)
    a.open = False
    assert door.another(a, 0.0, 0.0) is None


def test_a_gate_is_awake_while_somebody_is_ready_and_stays():
    assert not Gate(KEY).awake
    assert not gate(at("a"), ready=False).awake
    assert not gate(at("a", draining=True)).awake
    assert gate(at("a", 0)).awake


def test_loads_say_who_is_ready_and_who_is_busy():
    door = gate(at("a"), at("b"), at("c"))
    a, b, c = door.endpoints.values()
    a.in_flight, a.ready = 2, False
    b.used = 3.0
    c.ready = False

    loads = {load.replica: load for load in door.loads(10.0)}

    assert [load.ready for load in loads.values()] == [False, True, False]
    assert (loads["a"].in_flight, loads["a"].idle_s) == (2, 0.0)
    assert (loads["b"].in_flight, loads["b"].idle_s) == (0, 7.0)
    assert (loads["c"].in_flight, loads["c"].idle_s) == (0, 10.0)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, 1.0, id="nothing known: soon"),
        pytest.param({"throughput": 2.0}, 5.0, id="ten wait, two end each second"),
        pytest.param({"throughput": 0.01}, 60.0, id="no estimate beyond a minute"),
        pytest.param({"waking_since": 88.0}, 12.0, id="as long again"),
        pytest.param(
            {"waking_since": 88.0, "wake_took_s": 20.0}, 8.0, id="what is left of it"
        ),
        pytest.param(
            {"waking_since": 50.0, "wake_took_s": 20.0}, 1.0, id="it is over time"
        ),
    ],
)
def test_when_to_try_again_is_estimated_from_what_was_seen(changes, expected):
    door = gate(at("a"))
    for _ in range(10):
        door.queue[Ticket(None)] = None
    for name, value in changes.items():
        setattr(door, name, value)

    assert door.patience_s(100.0) == expected


def test_a_load_that_stays_the_same_is_made_once():
    door = gate(at("a", 4))
    a = door.endpoints["a"]
    a.in_flight = 2

    (first,), (again,) = door.loads(1.0), door.loads(2.0)
    assert again is first

    a.in_flight = 3
    assert door.loads(3.0)[0].in_flight == 3
    a.in_flight, a.used = 0, 3.0
    assert [load.idle_s for now in (4.0, 5.0) for load in door.loads(now)] == [1.0, 2.0]
    a.in_flight = 3
    assert door.loads(6.0)[0].idle_s == 0.0
    a.ready = False
    assert not door.loads(7.0)[0].ready


def test_a_name_leads_to_its_port_and_any_other_to_the_replicas_own():
    door = gate(at("a", ports=(("grpc", 9001),)))
    endpoint = door.endpoints["a"]
    assert (endpoint.at("grpc"), endpoint.at("web"), endpoint.at("")) == (
        9001,
        9000,
        9000,
    )

    door.see(view(at("a")), 1.0)
    assert endpoint.at("grpc") == 9000
    assert endpoint.ready


def test_the_least_busy_is_one_that_may_have_requests_though_all_its_slots_are_taken():
    door = gate(at("a"), at("b"), at("c", draining=True))
    door.endpoints["a"].in_flight, door.endpoints["b"].in_flight = 3, 2
    assert door.least_busy is door.endpoints["b"]

    door.see(view(at("c", draining=True)), 1.0)
    assert door.least_busy is None
