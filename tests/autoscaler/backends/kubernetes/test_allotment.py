"""No port ever means two revisions, and none changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.allotment import Allotment, Refused
from autoscaler.backends.kubernetes.facts import Container, Meta, Slice
from autoscaler.backends.kubernetes.managed import Door
from autoscaler.backends.kubernetes.slices import MANAGED_BY
from autoscaler.core.domain import Entrance, RevisionKey

IRIS = RevisionKey("prod", "iris-predictor")
LLM = RevisionKey("prod", "llm-predictor")
HTTP = Door(name="http1", port=80, target="http1")
GRPC = Door(name="grpc", port=9000, target=9000, tunnel=True)
BARE = Door(name="http1", port=8080, target="http1", headless=True)
SERVING = (Container(name="kserve-container", ports=(("http1", 8080),)),)


def ports(entrances):
    assert not isinstance(entrances, Refused)
    return [entrance.port for entrance in entrances]


def recorded(entrances, managed_by=MANAGED_BY):
    return [
        Slice(
            meta=Meta(name="s"),
            service="iris-predictor",
            managed_by=managed_by,
            ports=tuple((each.name, each.port) for each in entrances),
        )
    ]


def test_each_port_of_a_service_has_one_of_its_own_and_keeps_it():
    allotment = Allotment()

    first = allotment.allot(IRIS, (HTTP, GRPC), SERVING, 0.0)
    other = allotment.allot(LLM, (HTTP, GRPC), SERVING, 0.0)
    again = allotment.allot(IRIS, (GRPC, HTTP), SERVING, 900.0)

    assert len({*ports(first), *ports(other)}) == 4
    assert set(again) == set(first)
    assert all(20000 <= port <= 29999 for port in ports(first))
    assert [entrance.tunnel for entrance in first] == [False, True]


def test_a_port_that_does_not_speak_tcp_has_no_entrance():
    udp = Door(name="quic", port=443, target=443, protocol="UDP")

    assert Allotment().allot(IRIS, (udp,), SERVING, 0.0) == ()


def test_what_our_slices_record_outlives_a_restart():
    entrances = (Entrance(port=23456, name="http1"), Entrance(port=29999, name="grpc"))
    allotment = Allotment()

    allotment.learn(IRIS, recorded(entrances), 0.0)

    assert ports(allotment.allot(IRIS, (HTTP, GRPC), SERVING, 0.0)) == [23456, 29999]


def test_others_slices_record_nothing():
    allotment = Allotment()

    allotment.learn(IRIS, recorded([Entrance(port=8080, name="http1")], "other"), 0.0)

    assert ports(allotment.allot(LLM, (BARE,), SERVING, 0.0)) == [8080]


def test_of_two_that_recorded_one_port_the_second_gets_another():
    one = recorded([Entrance(port=20005, name="http1")])
    allotment = Allotment()
    allotment.learn(IRIS, one, 0.0)
    allotment.learn(LLM, one, 0.0)

    assert ports(allotment.allot(IRIS, (HTTP,), SERVING, 0.0)) == [20005]
    assert ports(allotment.allot(LLM, (HTTP,), SERVING, 0.0)) != [20005]


def test_one_who_follows_has_what_the_other_gave():
    leader, follower = Allotment(), Allotment()
    follower.allot(LLM, (HTTP,), SERVING, 0.0)
    given = (Entrance(port=21111, name="http1"),)
    leader.learn(LLM, recorded(given), 0.0)

    follower.learn(LLM, recorded(given), 1.0)

    assert follower.allot(LLM, (HTTP,), SERVING, 1.0) == given
    assert leader.allot(LLM, (HTTP,), SERVING, 1.0) == given


def test_an_autoscaler_that_has_lost_everything_gives_the_same_again():
    first = Allotment().allot(IRIS, (HTTP, GRPC), SERVING, 0.0)

    assert Allotment().allot(IRIS, (HTTP, GRPC), SERVING, 5.0) == first


def test_a_port_outside_the_range_is_given_up_for_one_inside():
    allotment = Allotment(first=30000, last=30009)
    allotment.learn(IRIS, recorded([Entrance(port=20005, name="http1")]), 0.0)

    (port,) = ports(allotment.allot(IRIS, (HTTP,), SERVING, 0.0))

    assert 30000 <= port <= 30009


def test_a_freed_port_rests_but_its_own_revision_has_it_back():
    allotment = Allotment(first=20000, last=20000, rests_s=300.0)
    given = allotment.allot(IRIS, (HTTP,), SERVING, 0.0)
    allotment.free(IRIS, 10.0)

    refused = allotment.allot(LLM, (HTTP,), SERVING, 10.0)
    assert refused == Refused(
        reason="all activator ports from 20000 to 20000 are taken", again_at=310.0
    )

    assert allotment.allot(IRIS, (HTTP,), SERVING, 20.0) == given
    allotment.free(IRIS, 30.0)
    assert ports(allotment.allot(LLM, (HTTP,), SERVING, 330.0)) == [20000]


def test_a_port_that_the_service_lost_is_freed():
    allotment = Allotment(first=20000, last=20001, rests_s=0.0)
    allotment.allot(IRIS, (HTTP, GRPC), SERVING, 0.0)

    allotment.allot(IRIS, (HTTP,), SERVING, 1.0)

    assert ports(allotment.allot(LLM, (HTTP,), SERVING, 1.0))


def test_a_headless_service_keeps_its_target_port():
    named = Allotment().allot(IRIS, (BARE,), SERVING, 0.0)

    assert named == (Entrance(port=8080, name="http1"),)


@pytest.mark.parametrize(
    ("door", "reason"),
    [
        pytest.param(
            BARE,
            "port http1 of a headless Service needs 8080, which is that of port http1 "
            "of prod/llm-predictor",
            id="another has it",
        ),
        pytest.param(
            Door(port=9, target=9100, headless=True),
            "port 9 of a headless Service needs 9100, which is an activator's own",
            id="the activator has it",
        ),
        pytest.param(
            Door(name="x", port=9, target="nowhere", headless=True),
            "port x of a headless Service aims at nowhere: no container has it",
            id="nobody names it",
        ),
    ],
)
def test_a_headless_service_is_refused_where(door, reason):
    allotment = Allotment(reserved=(9100,))
    allotment.allot(LLM, (BARE,), SERVING, 0.0)

    assert allotment.allot(IRIS, (door,), SERVING, 0.0) == Refused(reason=reason)


def test_a_headless_port_rests_too():
    allotment = Allotment(rests_s=300.0)
    allotment.allot(LLM, (BARE,), SERVING, 0.0)
    allotment.free(LLM, 1.0)

    refused = allotment.allot(IRIS, (BARE,), SERVING, 2.0)

    assert isinstance(refused, Refused)
    assert refused.reason.endswith(
        "needs 8080, which was prod/llm-predictor's a moment ago"
    )
    assert refused.again_at == 301.0
    assert ports(allotment.allot(IRIS, (BARE,), SERVING, 301.0)) == [8080]


@pytest.mark.parametrize("port", [9090, 30080])
def test_what_activators_listen_on_themselves_is_nobodys(port):
    door = Door(port=9, target=port, headless=True)
    allotment = Allotment(first=port, last=port + 1)
    allotment.learn(LLM, recorded([Entrance(port=port, name="http1")]), 0.0)

    refused = allotment.allot(IRIS, (door,), SERVING, 0.0)

    assert isinstance(refused, Refused)
    assert refused.reason.endswith(f"needs {port}, which is an activator's own")
    assert ports(allotment.allot(LLM, (HTTP,), SERVING, 0.0)) == [port + 1]


@pytest.mark.parametrize("target", [20000, 24680, 29999])
def test_a_headless_service_may_not_aim_at_a_port_that_is_given_away(target):
    door = Door(name="x", port=9, target=target, headless=True)

    assert Allotment().allot(IRIS, (door,), SERVING, 0.0) == Refused(
        reason=f"port x of a headless Service needs {target}, must not be in 20000 to "
        "29999, which are given to Services that are not headless"
    )


def test_no_namespace_has_more_than_its_share_whatever_its_slices_say():
    allotment = Allotment(share=3)
    forged = [Entrance(port=20000 + n, name=f"p{n}") for n in range(50)]
    allotment.learn(RevisionKey("prod", "forged"), recorded(forged), 0.0)
    allotment.learn(RevisionKey("prod", "more"), recorded(forged), 0.0)

    refused = allotment.allot(IRIS, (HTTP,), SERVING, 0.0)
    headless = allotment.allot(LLM, (BARE,), SERVING, 0.0)

    reason = "namespace prod has 3 activator ports, must be at most so many"
    assert refused == headless == Refused(reason=reason)
    assert ports(allotment.allot(RevisionKey("dev", "iris"), (HTTP,), SERVING, 0.0))
    allotment.learn(RevisionKey("prod", "forged"), (), 1.0)
    assert len(ports(allotment.allot(IRIS, (HTTP, GRPC), SERVING, 1.0))) == 2


def test_a_record_of_what_nobody_manages_holds_its_ports_until_it_is_gone():
    allotment = Allotment(first=20000, last=20000, rests_s=0.0)
    allotment.learn(LLM, recorded([Entrance(port=20000, name="http1")]), 0.0)
    assert isinstance(allotment.allot(IRIS, (HTTP,), SERVING, 1.0), Refused)

    allotment.learn(LLM, (), 2.0)

    assert ports(allotment.allot(IRIS, (HTTP,), SERVING, 2.0)) == [20000]


def test_who_leads_is_not_told_by_a_record_what_it_gave():
    allotment = Allotment()
    given = allotment.allot(IRIS, (HTTP,), SERVING, 0.0)

    for key, port in (IRIS, 23456), (LLM, given[0].port):
        old = recorded([Entrance(port=port, name="http1")])
        allotment.learn(key, old, 1.0, leads=True)

    assert allotment.allot(IRIS, (HTTP,), SERVING, 1.0) == given
    assert allotment.allot(LLM, (HTTP,), SERVING, 1.0) != given


ALL_KEYS = [RevisionKey(space, name) for space in ("prod", "dev") for name in "abc"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["gives", "frees", "tells", "guesses", "restarts"]),
            st.sampled_from(ALL_KEYS),
        ),
        max_size=60,
    ),
    st.permutations(ALL_KEYS),
)
def test_once_a_follower_has_heard_all_it_has_what_the_leader_gave(steps, order):
    def small():
        return Allotment(first=20000, last=20007, rests_s=5.0)

    leader, follower = small(), small()
    shown: dict[RevisionKey, tuple] = {}
    managed: set[RevisionKey] = set()
    for now, (what, key) in enumerate(steps):
        if what == "gives":
            found = leader.allot(key, (HTTP,), SERVING, float(now))
            shown[key] = () if isinstance(found, Refused) else found
            managed.add(key)
        elif what == "frees":
            for each in leader, follower:
                each.free(key, float(now))
            managed.discard(key)
            shown.pop(key, None)
        elif what == "tells":
            follower.learn(key, recorded(shown.get(key, ())), float(now))
        elif what == "guesses" and key in managed:
            follower.allot(key, (HTTP,), SERVING, float(now))
        elif what == "restarts":
            follower = small()

    end = len(steps) + 100.0
    # What is gone is told first: its port may be another's by now.
    for key in sorted(order, key=lambda each: bool(shown.get(each))):
        follower.learn(key, recorded(shown.get(key, ())), end)
    for key in order:
        if shown.get(key):
            assert follower.allot(key, (HTTP,), SERVING, end) == shown[key]


KEYS = [RevisionKey("prod", name) for name in "abcd"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(KEYS),
        st.one_of(
            st.just(()),
            st.lists(
                st.sampled_from((HTTP, GRPC, Door(name="x", port=1, target=1))),
                unique_by=lambda door: door.name,
            ).map(tuple),
            st.just((BARE,)),
            st.just((Door(name="g", port=1, target=20003, headless=True),)),
        ),
        st.sampled_from((0.0, 1.0, 20.0)),
        st.sampled_from((False, False, True)),
    ),
    max_size=40,
)


@given(STEPS)
def test_no_port_means_two_at_a_time_none_changes_and_none_is_anothers_soon(steps):
    rests_s = 30.0
    allotment, now = Allotment(first=20000, last=20009, rests_s=rests_s), 0.0
    has: dict[RevisionKey, dict[str, int]] = {}
    last: dict[int, tuple[tuple[RevisionKey, str], float]] = {}
    for key, doors, step, restarts in steps:
        now += step
        if restarts:
            # What rested is forgotten then; what is given is not.
            allotment = Allotment(first=20000, last=20009, rests_s=rests_s)
            last = {}
            for each, numbers in has.items():
                slices = recorded(
                    [Entrance(port=port, name=name) for name, port in numbers.items()]
                )
                allotment.learn(each, slices, now)
        for owner, numbers in has.items():
            last |= {port: ((owner, name), now) for name, port in numbers.items()}
        if not doors:
            allotment.free(key, now)
            has.pop(key, None)
            continue

        given = allotment.allot(key, doors, SERVING, now)

        if isinstance(given, Refused):
            assert given.again_at > now
            # It is free of what it had, or has it still: as the record would say.
            allotment.free(key, now)
            has.pop(key, None)
            continue
        mine = {entrance.name: entrance.port for entrance in given}
        others = [port for of in has if of != key for port in has[of].values()]
        assert len(set(mine.values())) == len(mine) == len(doors)
        assert not set(mine.values()) & set(others)
        for name, port in mine.items():
            whose, until = last.get(port, ((key, name), -rests_s))
            assert whose == (key, name) or now - until >= rests_s
            headless = next(door.headless for door in doors if door.name == name)
            before = has.get(key, {}).get(name)
            if not headless and before is not None and 20000 <= before <= 20009:
                assert port == before
        has[key] = mine
