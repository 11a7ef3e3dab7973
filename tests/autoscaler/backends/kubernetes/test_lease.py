"""A Lease: at most one leads, and soon one does, whatever the way to the server is."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.api import Api, ApiError
from autoscaler.backends.kubernetes.claim import Candidate, Claim
from tests.autoscaler.backends.kubernetes.leases import (
    NAME,
    NAMESPACE,
    Person,
    Records,
)
from tests.autoscaler.backends.kubernetes.virtual import now, virtually

DURATION_S, RENEW_S, RETRY_S = 15.0, 10.0, 3.0
"""The last with all of its jitter."""
SOON_S = 0.001 + 1e-6
LIMIT_S = 60.0
QUICK = {"duration_s": 4, "renew_s": 3.0, "retry_s": 0.2}
REFUSALS = [404, 409, 409]


@asynccontextmanager
async def running(*people):
    """Run candidates; to leave is a crash of all of them."""
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(each.run()) for each in people]
        yield started
        for each in started:
            each.cancel()


troubles = st.lists(
    st.tuples(
        st.floats(0.5, 40),
        st.sampled_from(["well", "slow", "lossy", "away", "deleted"]),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(
    troubles=troubles,
    seed=st.integers(0, 999),
    rate=st.floats(0.85, 1.15),
    wall=st.floats(-1e6, 1e6),
)
def test_two_never_lead_at_once_by_their_own_clocks(troubles, seed, rate, wall):
    async def scene():
        records = Records(seed)
        one, two = Person("one", records), Person("two", records, rate, wall + 1e7)
        people = one, two
        terms: dict[int, object] = {}
        deleted = any(what == "deleted" for _, what in troubles)

        async def watch():
            while True:
                leaders = [each.lease for each in people if each.lease.leading]
                assert len(leaders) <= 1
                await asyncio.sleep(0.07)

        async with running(one, two), asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch())
            for lasts_s, what in troubles:
                records.slow_s = 12.0 if what == "slow" else 0.3
                records.lost = 0.6 if what == "lossy" else 0.0
                records.away = what == "away"
                # Nobody can know of a leader whose record was never seen.
                if (
                    what == "deleted"
                    and records.record
                    and all(
                        each.lease.term == records.record["spec"]["leaseTransitions"]
                        for each in people
                    )
                ):
                    records.record = None
                await asyncio.sleep(lasts_s)
            records.slow_s = records.lost = 0.0
            records.away = False
            await asyncio.sleep(2 * DURATION_S)
            assert sum(each.lease.leading for each in people) == 1, "one leads again"
            assert one.lease.holder == two.lease.holder != ""
            watching.cancel()
        for each in people:
            assert each.terms == sorted(set(each.terms)), "a term is led once"
            for term in each.terms:
                assert deleted or terms.setdefault(term, each.lease) is each.lease

    virtually(scene)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), lived_s=st.floats(0.1, 60))
def test_a_leader_that_crashed_is_followed_within_its_lease_and_a_retry(seed, lived_s):
    async def scene():
        records = Records(seed)
        records.slow_s = 0.05
        one, two = Person("one", records), Person("two", records)
        async with running(two) as _, running(one) as (crashing,):
            await asyncio.sleep(DURATION_S + lived_s)
            leader, other = (one, two) if one.lease.leading else (two, one)
            assert leader.lease.leading
            if leader is two:
                return
            crashing.cancel()
            crashed = now()
            await other.leads()
            assert now() - crashed <= DURATION_S + RETRY_S + 4 * records.slow_s

    virtually(scene)


@settings(max_examples=20)
@given(seed=st.integers(0, 999))
def test_a_leader_that_hears_nothing_stops_at_its_deadline_and_says_so(seed):
    async def scene():
        records = Records()
        one = Person(f"one-{seed}", records)
        async with running(one):
            await one.leads()
            records.lost = 1.0
            began = now()
            await one.until(lambda: not one.lease.leading)
            assert RENEW_S <= now() - began <= RENEW_S + SOON_S
            assert one.lease.failing
            assert one.lease.left_s == 0

    virtually(scene)


def test_the_other_leads_at_its_next_try_once_a_leader_stops():
    async def scene():
        records = Records()
        one, two = Person("one", records), Person("two", records)
        async with running(one):
            await one.leads()
            async with running(two):
                await two.until(lambda: two.lease.holder == "one")
                one.stop.set()
                began = now()
                await two.leads()
                assert now() - began <= RETRY_S
                assert not one.lease.leading
                assert two.lease.term > 1

    virtually(scene)


def test_one_that_stops_in_the_middle_of_a_lost_renewal_still_releases():
    async def scene():
        records = Records()
        one = Person("one", records)
        async with running(one):
            await one.leads()
            records.lost = 1.0
            await asyncio.sleep(RETRY_S)
            one.stop.set()
            records.lost = 0.0
            await one.until(lambda: not one.lease.holder)
        assert records.record["spec"]["holderIdentity"] == ""

    virtually(scene)


def test_a_server_that_is_away_at_the_end_keeps_nobody():
    async def scene():
        records = Records()
        one = Person("one", records)
        async with running(one) as (task,):
            await one.leads()
            records.lost = 1.0
            one.stop.set()
            await task
        assert not one.lease.leading

    virtually(scene)


def test_a_renewal_keeps_what_others_wrote_in_the_lease():
    async def scene():
        records = Records()
        one = Person("one", records)
        async with running(one):
            await one.leads()
            term = one.lease.term
            meta = records.record["metadata"]
            meta["labels"], meta["annotations"] = {"a": "b"}, {"theirs": "kept"}
            records.version += 1
            meta["resourceVersion"] = str(records.version)
            await asyncio.sleep(2 * RETRY_S)
            assert records.record["metadata"]["labels"] == {"a": "b"}
            assert one.lease.annotations == {"theirs": "kept"}
            assert one.lease.leading
            assert one.lease.term == term

    virtually(scene)


def test_a_note_of_the_leader_is_written_at_once_and_read_by_the_other():
    async def scene():
        records = Records()
        one, two = Person("one", records), Person("two", records)
        async with running(one):
            await one.leads()
            async with running(two):
                began = now()
                one.lease.annotate("fromzero.dev/released", "a/b")
                await one.until(lambda: bool(one.lease.annotations))
                assert now() == began
                await two.until(lambda: bool(two.lease.annotations))
                assert two.lease.annotations == {"fromzero.dev/released": "a/b"}
                two.lease.annotate("fromzero.dev/released", "not its to say")
                one.lease.annotate("fromzero.dev/released", None)
                await two.until(lambda: not two.lease.annotations)

    virtually(scene)


@pytest.mark.parametrize(
    "troubled",
    [pytest.param("away", id="no answer"), pytest.param("conflict", id="another's")],
)
def test_a_note_outlives_a_write_that_failed(troubled):
    async def scene():
        records = Records()
        one = Person("one", records)
        async with running(one):
            await one.leads()
            if troubled == "away":
                records.away = True
            else:
                records.record["metadata"]["resourceVersion"] = "0"
            one.lease.annotate("x", "1")
            await asyncio.sleep(RETRY_S)
            records.away = False
            await one.until(lambda: one.lease.annotations == {"x": "1"})

    virtually(scene)


def test_a_leader_is_deposed_by_a_record_that_names_another():
    async def scene():
        records = Records()
        one = Person("one", records)
        async with running(one):
            await one.leads()
            spec = records.record["spec"]
            spec["holderIdentity"], spec["leaseTransitions"] = "two", 7
            records.record["metadata"]["resourceVersion"] = "x"
            await one.until(lambda: not one.lease.leading)
            assert (one.lease.holder, one.lease.term) == ("two", 7)
            began = now()
            await one.leads()
            assert DURATION_S <= now() - began <= DURATION_S + RETRY_S
            assert one.lease.term > 7

    virtually(scene)


def test_a_deleted_record_binds_the_other_while_its_leader_may_not_know():
    async def scene():
        records = Records()
        one, two = Person("one", records), Person("two", records)
        async with running(one) as (crashing,):
            await one.leads()
            async with running(two):
                await two.until(lambda: two.lease.holder == "one")
                crashing.cancel()
                records.record = None
                began = now()
                await two.leads()
                assert DURATION_S <= now() - began <= DURATION_S + RETRY_S
                assert two.lease.term > 1

    virtually(scene)


def test_a_record_of_nonsense_is_nobodys():
    async def scene():
        records = Records()
        records.record = {
            "metadata": {"resourceVersion": "0", "annotations": [1]},
            "spec": {"holderIdentity": 3, "leaseTransitions": "x"},
        }
        one = Person("one", records)
        async with running(one):
            await one.leads()
            assert one.lease.term >= 1

    virtually(scene)


@pytest.mark.slow
def test_on_a_real_api_server_one_leads_notes_stops_or_crashes_and_another_follows(
    cluster, space
):
    async def scene():
        async with (
            asyncio.timeout(LIMIT_S),
            Api.from_kubeconfig(cluster.kubeconfig()) as api,
            Api.from_kubeconfig(cluster.kubeconfig()) as others,
        ):
            one = Person("one", api, times=QUICK, namespace=space)
            two = Person("two", others, times=QUICK, namespace=space)
            async with running(one) as (stopping,), running(two) as (crashing,):
                await one.until(lambda: bool(one.lease.holder))
                await two.until(lambda: bool(two.lease.holder))
                first, second = (one, two) if one.lease.leading else (two, one)
                assert not second.lease.leading
                assert second.lease.holder == first.lease.holder
                first.lease.annotate("fromzero.dev/released", "lab/iris")
                await second.until(lambda: bool(second.lease.annotations))

                first_term = first.lease.term
                first.stop.set()
                await second.leads()
                assert not first.lease.leading
                assert second.lease.term > first_term
                assert second.lease.annotations == {"fromzero.dev/released": "lab/iris"}

                (crashing if second is two else stopping).cancel()
                third = Person("three", api, times=QUICK, namespace=space)
                async with running(third):
                    await third.leads()
                    assert third.lease.term > second.lease.term
                    third.stop.set()
                    await third.until(lambda: not third.lease.holder)

    asyncio.run(scene())

    path = f"/apis/coordination.k8s.io/v1/namespaces/{space}/leases/{NAME}"
    left = cluster.admin.get(path)
    assert not left["spec"].get("holderIdentity")
    assert left["spec"]["leaseTransitions"] >= 3
    assert left["metadata"]["annotations"] == {"fromzero.dev/released": "lab/iris"}


async def refusals(records, space) -> list[int]:
    """Return what a server says to one who asks too soon, twice and too late."""
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{space}/leases"
    path = f"{leases}/{NAME}"
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": space, "name": NAME},
        "spec": {},
    }
    codes = []

    async def refused(call) -> None:
        with pytest.raises(ApiError) as caught:
            await call
        codes.append(caught.value.status)

    await refused(records.get(path))
    found = await records.create(leases, body)
    await refused(records.create(leases, body))
    await records.replace(path, {**found, "spec": {"holderIdentity": "a"}})
    await refused(records.replace(path, {**found, "spec": {"holderIdentity": "b"}}))
    return codes


def test_the_fake_refuses_as_a_server_does():
    async def scene():
        assert await refusals(Records(), NAMESPACE) == REFUSALS

    virtually(scene)


@pytest.mark.slow
def test_a_real_api_server_refuses_as_the_fake_does(cluster, space):
    async def scene():
        async with (
            asyncio.timeout(LIMIT_S),
            Api.from_kubeconfig(cluster.kubeconfig()) as api,
        ):
            assert await refusals(api, space) == REFUSALS

    asyncio.run(scene())


def test_a_term_rises_even_where_the_record_of_the_last_was_deleted():
    candidate = Candidate(namespace="a", name="lease", identity="one")
    before = Claim(candidate).claimed(0.0, wall=1_000_000.0)["spec"]
    after = Claim(candidate).claimed(0.0, wall=1_000_060.0)["spec"]

    assert after["leaseTransitions"] > before["leaseTransitions"]
