"""When a start has failed, for whom that is final, and what may take its time."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes import reading
from autoscaler.backends.kubernetes.facts import Condition
from autoscaler.backends.kubernetes.failures import Glimpse, Starts
from autoscaler.core.domain import StartFailure
from tests.autoscaler.backends.kubernetes.made import (
    deployment,
    happened,
    pod,
    state,
    unplaced,
)
from tests.kube.cluster import eventually

NO_GPU = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."


def seen(*pods, replicas=1, events=(), conditions=(), **kw):
    return Glimpse(
        deployment=deployment(replicas, conditions=conditions),
        pods=pods,
        events=tuple(events),
        **kw,
    )


def said(starts, glimpse, now):
    return [(each.reason, each.final) for each in starts.look(glimpse, now).failures]


def crash(restarts, **kw):
    return state(exit_code=1, exit_message="no model", restarts=restarts, **kw)


CRASHED = "kserve-container: exit status 1: no model"


def test_a_pod_that_nobody_places_has_failed_after_thirty_seconds_and_for_good():
    starts = Starts()

    assert said(starts, seen(unplaced("a")), 0.0) == []
    assert starts.wake_at == 30.0
    assert said(starts, seen(unplaced("a")), 29.9) == []
    assert starts.look(seen(unplaced("a")), 30.0).failures == (
        StartFailure(reason=NO_GPU, final=True, replica="a"),
    )
    assert said(starts, seen(unplaced("a")), 59.9) == []
    assert said(starts, seen(unplaced("a")), 60.0) == [(NO_GPU, True)]


@pytest.mark.parametrize(
    ("glimpse", "awaits"),
    [
        pytest.param(
            seen(unplaced("a"), events=[happened("a", "TriggeredScaleUp")]),
            "waits for a node that the cluster is adding",
            id="adds a node",
        ),
        pytest.param(
            seen(unplaced("a", nominated="n1")),
            "waits for room on node n1, which others are leaving",
            id="makes room",
        ),
    ],
)
def test_the_deadline_does_not_run_and_nothing_has_failed_while_the_cluster(
    glimpse, awaits
):
    starts = Starts()

    for now in (0.0, 30.0, 100.0, 899.0):
        verdict = starts.look(glimpse, now)
        assert verdict.failures == ()
        assert verdict.awaits == awaits
    assert starts.wake_at == 900.0

    starts.look(glimpse, 900.0)
    late = starts.look(glimpse, 930.0)
    assert late.awaits == ""
    assert [(each.reason, each.final) for each in late.failures] == [
        (f"no node came in 930 s: {NO_GPU}", True)
    ]


def test_the_deadline_does_not_run_while_an_image_is_pulled():
    pulling = happened("a", "Pulling", 'Pulling image "vllm:1"')
    waits = pod("a", node="n", states=(state(waiting="ContainerCreating"),))

    verdict = Starts().look(seen(waits, events=[pulling]), 9999.0)

    assert verdict.awaits == "a node is pulling image vllm:1"
    assert verdict.failures == ()


def test_others_may_wait_for_a_node_while_one_serves():
    ready, lost = pod("a", ready=True), unplaced("b", created=1.0)
    grows = [happened("b", "TriggeredScaleUp")]

    verdict = Starts().look(seen(ready, lost, replicas=2, events=grows), 0.0)

    assert verdict.awaits
    assert Starts().look(seen(ready, pod("b"), replicas=2), 0.0).awaits == ""


def test_the_first_crash_is_transient_and_the_next_is_final_each_said_once():
    starts = Starts()
    history = [
        (state(running=True), []),
        (crash(0), [(CRASHED, False)]),
        (crash(0), []),
        (crash(1, running=True), []),
        (crash(1), [(CRASHED, True)]),
        (crash(1, waiting="CrashLoopBackOff"), []),
        (crash(2, running=True), []),
        (crash(2), [(CRASHED, True)]),
    ]

    for now, (told, failures) in enumerate(history):
        assert said(starts, seen(pod("a", states=(told,))), float(now)) == failures


def test_a_crash_in_the_pod_that_takes_its_place_is_final_too():
    starts = Starts()
    said(starts, seen(pod("a", states=(crash(0),))), 0.0)
    said(starts, seen(replicas=0), 1.0)

    assert said(starts, seen(pod("b", states=(crash(0),))), 2.0) == [(CRASHED, True)]


def test_replicas_that_crash_together_crash_for_the_first_time():
    starts = Starts()
    pods = [pod(name, states=(crash(0),)) for name in "abc"]

    assert said(starts, seen(*pods, replicas=3), 0.0) == [(CRASHED, False)] * 3


def test_another_template_starts_anew():
    starts = Starts()
    said(starts, seen(pod("a", states=(crash(0),))), 0.0)
    old, new = pod("a"), pod("b", rs="new", created=1.0, states=(crash(0),))

    assert said(starts, seen(old, new), 1.0) == [(CRASHED, False)]


def test_several_crashes_that_were_seen_as_one_are_final():
    starts = Starts()
    said(starts, seen(pod("a")), 0.0)

    assert said(starts, seen(pod("a", states=(crash(2),))), 1.0) == [(CRASHED, True)]


def test_crashes_of_before_we_came_are_no_news():
    old = crash(5, running=True)

    assert said(Starts(), seen(pod("a", states=(old,))), 0.0) == []


def test_nothing_has_failed_while_a_pod_of_any_replicaset_serves():
    starts = Starts()
    bad = pod("b", rs="new", created=1.0, states=(crash(3),))
    lost = unplaced("c", created=2.0)
    glimpse = seen(pod("a", ready=True), bad, lost, replicas=3)

    for now in (0.0, 30.0, 999.0):
        assert said(starts, glimpse, now) == []


def test_the_end_of_a_replica_that_served_is_no_failed_start_but_the_next_is():
    starts = Starts()
    said(starts, seen(pod("a", ready=True, states=(state(running=True),))), 0.0)

    assert said(starts, seen(pod("a", states=(crash(0),))), 1.0) == []
    assert said(starts, seen(pod("a", states=(crash(1),))), 2.0) == [(CRASHED, False)]
    assert said(starts, seen(pod("a", states=(crash(2),))), 3.0) == [(CRASHED, True)]


def test_one_that_serves_has_past_failures_forgotten():
    starts = Starts()
    said(starts, seen(pod("a", states=(crash(0),))), 0.0)
    said(starts, seen(pod("a", ready=True, states=(crash(1, running=True),))), 1.0)
    said(starts, seen(replicas=0), 2.0)

    assert said(starts, seen(pod("b", states=(crash(0),))), 3.0) == [(CRASHED, False)]


def pulls(waiting):
    return seen(pod("a", node="n", states=(state(waiting=waiting, message="404"),)))


def test_the_first_image_error_is_transient_and_the_next_pull_that_fails_is_final():
    starts = Starts()
    error = "kserve-container: ErrImagePull: 404"

    assert said(starts, pulls("ErrImagePull"), 0.0) == [(error, False)]
    assert said(starts, pulls("ErrImagePull"), 1.0) == []
    assert said(starts, pulls("ImagePullBackOff"), 2.0) == []
    assert said(starts, pulls("ErrImagePull"), 12.0) == [(error, True)]


def test_an_error_that_stays_becomes_final():
    starts = Starts()
    error = "kserve-container: CreateContainerConfigError: 404"

    assert said(starts, pulls("CreateContainerConfigError"), 0.0) == [(error, False)]
    assert starts.wake_at == 30.0
    assert said(starts, pulls("CreateContainerConfigError"), 30.0) == [(error, True)]


def test_an_image_name_that_is_none_is_final_at_once():
    assert [final for _, final in said(Starts(), pulls("InvalidImageName"), 0.0)] == [
        True
    ]


def test_a_storage_initializer_that_fails_is_transient_once():
    starts = Starts()
    told = {"init": True, "exit_code": 1, "exit_message": "no such bucket"}
    words = "storage-initializer: exit status 1: no such bucket"

    for restarts, final in ((0, False), (1, True)):
        init = state("storage-initializer", restarts=restarts, **told)
        assert said(starts, seen(pod("a", states=(init,))), 0.0) == [(words, final)]


@pytest.mark.parametrize(("deadline_s", "stalls_s"), [(600.0, 540.0), (20.0, 18.0)])
def test_a_storage_initializer_has_stalled_shortly_before_the_progress_deadline(
    deadline_s, stalls_s
):
    starts = Starts()
    init = state("storage-initializer", init=True, running=True)
    glimpse = seen(pod("a", states=(init,)), deadline_s=deadline_s)
    words = f"storage-initializer has run for {stalls_s:g} s and does not end"

    assert said(starts, glimpse, 0.0) == []
    assert starts.wake_at == stalls_s
    assert said(starts, glimpse, stalls_s - 0.1) == []
    assert said(starts, glimpse, stalls_s) == [(words, True)]


def test_what_nobody_has_commanded_fails_once_somebody_has():
    starts = Starts()
    words = 'pods "a" is forbidden: exceeded quota: gpus'
    no = Condition(type="ReplicaFailure", status="True", message=words)

    for _ in range(2):
        idle = seen(conditions=(no,), commanded=False)
        assert said(starts, idle, 0.0) == []
        assert said(starts, seen(conditions=(no,)), 1.0) == [(words, True)]


@pytest.mark.parametrize(
    "glimpse",
    [
        pytest.param(seen(unplaced("a"), deadline_s=10.0), id="no node"),
        pytest.param(
            seen(pod("a", ready=True), unreached=("a",), deadline_s=10.0),
            id="unreached",
        ),
    ],
)
def test_a_reason_is_said_before_a_short_progress_deadline(glimpse):
    starts = Starts()

    assert said(starts, glimpse, 0.0) == []
    assert [final for _, final in said(starts, glimpse, 9.0)] == [True]


@pytest.mark.parametrize(
    ("message", "finals"),
    [
        pytest.param(
            'pods "a" is forbidden: exceeded quota: gpus', [True, True], id="quota"
        ),
        pytest.param(
            'admission webhook "x" denied the request: no', [True, True], id="denied"
        ),
        pytest.param(
            'failed calling webhook "x": connection refused', [False, True], id="away"
        ),
    ],
)
def test_pods_that_cannot_be_made_are_said_in_the_replicasets_words(message, finals):
    starts = Starts()
    no = Condition(type="ReplicaFailure", status="True", message=message)
    glimpse = seen(conditions=(no,))

    heard = said(starts, glimpse, 0.0) + said(starts, glimpse, 1.0)
    heard += said(starts, glimpse, 30.0)

    assert heard == [(message, final) for final in finals]


def test_what_a_replicaset_said_of_pods_that_are_there_by_now_is_no_failure():
    no = Condition(type="ReplicaFailure", status="True", message="exceeded quota")
    over = Condition(type="ReplicaFailure", status="False", message="exceeded quota")

    assert said(Starts(), seen(pod("a"), conditions=(no,)), 0.0) == []
    assert said(Starts(), seen(replicas=0, conditions=(no,)), 0.0) == []
    assert said(Starts(), seen(conditions=(over,)), 0.0) == []


def test_a_pod_that_only_the_kubelet_reaches_has_failed_after_ten_seconds():
    starts = Starts()
    cut = seen(pod("a", ready=True), unreached={"a"})

    assert said(starts, cut, 0.0) == []
    assert starts.wake_at == 10.0
    ((reason, final),) = said(starts, cut, 10.0)
    assert final
    assert reason.startswith("ready for the kubelet, but no activator could connect")

    assert said(starts, seen(pod("a", ready=True)), 11.0) == []
    assert said(starts, cut, 12.0) == []


@pytest.mark.parametrize(
    "glimpse",
    [
        pytest.param(seen(pod("a", states=(crash(0),)), keep={"a"}), id="is to stop"),
        pytest.param(seen(pod("a", states=(crash(0),), deleting=True)), id="is going"),
        pytest.param(seen(pod("a", states=(crash(0),)), replicas=0), id="is too many"),
    ],
)
def test_nothing_is_said_of_a_pod_that(glimpse):
    assert said(Starts(), glimpse, 0.0) == []


def test_a_pod_for_which_room_is_being_found_is_left_to_that():
    starts = Starts()
    glimpse = seen(unplaced("a"), spoken_for={"a"})

    assert said(starts, glimpse, 0.0) == said(starts, glimpse, 90.0) == []


def test_a_pod_that_lives_on_fails_as_the_replica_it_is_now():
    starts = Starts()
    starts.look(seen(pod("a", states=(crash(0),))), 0.0)

    (failure,) = starts.look(
        seen(pod("a", states=(crash(1),)), attempts={"a": 1}), 1.0
    ).failures

    assert failure.replica == "a~1"


STATES = st.one_of(
    st.just(state(running=True)),
    st.builds(crash, st.integers(0, 3)),
    st.builds(state, waiting=st.sampled_from(("ErrImagePull", "ImagePullBackOff"))),
    st.just(state("storage-initializer", init=True, running=True)),
)
PODS = st.builds(
    pod,
    st.sampled_from("abc"),
    rs=st.sampled_from(("1", "2")),
    ready=st.sampled_from((False, False, True)),
    states=st.tuples(STATES),
) | st.builds(unplaced, st.sampled_from("abc"))
GLIMPSES = st.builds(
    seen,
    replicas=st.integers(0, 3),
    keep=st.sampled_from(((), ("a",))),
    unreached=st.sampled_from(((), ("b",))),
).flatmap(
    lambda glimpse: st.lists(PODS, max_size=3, unique_by=lambda p: p.meta.name).map(
        lambda pods: seen(
            *pods,
            replicas=glimpse.deployment.replicas,
            keep=glimpse.keep,
            unreached=glimpse.unreached,
        )
    )
)


@given(st.lists(st.tuples(GLIMPSES, st.sampled_from((0.0, 1.0, 10.0, 30.0, 600.0)))))
def test_in_any_history_nothing_is_said_twice_and_nobody_fails_while_one_serves(
    history,
):
    starts, now = Starts(), 0.0
    for glimpse, step in history:
        now += step
        failures = starts.look(glimpse, now).failures
        wake_at = starts.wake_at

        serves = {
            each.meta.name
            for each in glimpse.pods
            if each.ready and each.meta.name not in glimpse.unreached
        }
        if serves:
            assert failures == ()
        for failure in failures:
            assert failure.replica not in glimpse.keep
            assert "\n" not in failure.reason
        assert wake_at > now
        assert starts.look(glimpse, now).failures == ()
        if wake_at < inf:
            assert starts.look(glimpse, (now + wake_at) / 2).failures == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quota", "words", "pods"),
    [
        pytest.param({}, "no nodes available to schedule pods", 1, id="no node"),
        pytest.param({"pods": "0"}, "exceeded quota: none", 0, id="no quota"),
    ],
)
def test_a_real_cluster_says_why_in_the_words_that_are_read(
    cluster, space, quota, words, pods
):
    core, apps = f"/api/v1/namespaces/{space}", f"/apis/apps/v1/namespaces/{space}"
    labels = {"app": "iris"}
    if quota:
        none = {"metadata": {"name": "none"}, "spec": {"hard": quota}}
        cluster.admin.create(f"{core}/resourcequotas", none)
        eventually(
            "a quota that counts",
            lambda: cluster.admin.get(f"{core}/resourcequotas/none").get("status"),
        )
    cluster.admin.create(
        f"{apps}/deployments",
        {
            "metadata": {"name": "iris"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "c", "image": "none"}]},
                },
            },
        },
    )
    starts, now = Starts(), 0.0

    def failed():
        nonlocal now
        now += 30.0
        found = cluster.admin.get(f"{core}/pods")["items"]
        glimpse = Glimpse(
            deployment=reading.deployment(
                cluster.admin.get(f"{apps}/deployments/iris")
            ),
            pods=tuple(reading.pod(raw) for raw in found),
        )
        return starts.look(glimpse, now).failures

    (failure,) = eventually("a failure", failed)

    assert words in failure.reason
    assert failure.final
    assert bool(failure.replica) == bool(pods)
