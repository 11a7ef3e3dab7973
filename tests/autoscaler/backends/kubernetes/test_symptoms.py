"""What a kubelet says of a pod, in one line for a person."""

from __future__ import annotations

import pytest

from autoscaler.backends.kubernetes.symptoms import (
    Ends,
    ends,
    line,
    preparing,
    pulling,
    stuck,
)
from tests.autoscaler.backends.kubernetes.made import happened, pod, state


def ended(*states, events=(), **kw):
    return list(ends(pod("a", states=states, **kw), events))


@pytest.mark.parametrize(
    ("told", "number"),
    [
        pytest.param(state(running=True), 0, id="it runs for the first time"),
        pytest.param(state(exit_code=1), 1, id="it has just ended"),
        pytest.param(state(exit_code=0), 1, id="it ended well, which it should not"),
        pytest.param(
            state(running=True, restarts=1, exit_code=1), 1, id="it runs once more"
        ),
        pytest.param(
            state(waiting="CrashLoopBackOff", restarts=2, exit_code=1),
            3,
            id="it waits to run a fourth time",
        ),
        pytest.param(state(init=True, exit_code=0), 0, id="an init container is done"),
        pytest.param(state(init=True, exit_code=1), 1, id="an init container failed"),
        pytest.param(
            state(init=True, exit_code=0, restarts=1),
            1,
            id="an init container is done at the second try",
        ),
    ],
)
def test_a_container_has_ended_so_often(told, number):
    assert sum(end.number for end in ended(told)) == number


def test_a_sidecar_should_run_for_ever_though_it_is_an_init_container():
    agent = state("agent", init=True, exit_code=0)

    assert ended(agent, sidecars=("agent",)) == [
        Ends("agent", 1, "agent: exit status 0, without a word")
    ]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"exit_code": 1}, "exit status 1, without a word"),
        (
            {
                "exit_code": 1,
                "exit_reason": "Error",
                "exit_message": "Traceback\nKeyError: 'x'\n \n",
            },
            "exit status 1: KeyError: 'x'",
        ),
        (
            {"exit_code": 137, "exit_reason": "OOMKilled"},
            "exit status 137 (OOMKilled), without a word",
        ),
        (
            {
                "exit_code": 128,
                "exit_reason": "StartError",
                "exit_message": 'exec: "serve": not found',
            },
            'exit status 128 (StartError): exec: "serve": not found',
        ),
        ({"restarts": 1, "running": True}, "ended, without a word"),
    ],
    ids=range(5),
)
def test_how_it_ended_is_said_with_its_last_line(told, words):
    (end,) = ended(state(**told))

    assert end.words == f"kserve-container: {words}"


def test_one_that_a_probe_had_killed_is_said_to_be_so():
    killed = state(exit_code=137, exit_reason="Error")
    slow = happened("a", "Unhealthy", "Startup probe failed: connection refused", 2.0)
    ready = happened("a", "Unhealthy", "Readiness probe failed: 503", 3.0)

    (by_startup,) = ended(killed, events=[slow])
    (by_itself,) = ended(killed, events=[slow, ready])

    assert by_startup.words.endswith("137: Startup probe failed: connection refused")
    assert by_itself.words.endswith("137, without a word")


def test_what_a_container_waits_for_is_said_if_something_is_wrong():
    told = pod(
        "a",
        states=(
            state("x", waiting="ImagePullBackOff", message="Back-off\npulling"),
            state("y", waiting="PodInitializing"),
            state("z", waiting="InvalidImageName"),
            state("w", waiting="CrashLoopBackOff"),
        ),
    )

    assert [words for _, words in stuck(told)] == [
        "x: ImagePullBackOff: Back-off pulling",
        "z: InvalidImageName",
    ]


def test_only_init_containers_that_must_end_prepare():
    told = pod(
        "a",
        sidecars=("agent",),
        states=(
            state("agent", init=True, running=True),
            state("storage-initializer", init=True, running=True),
            state("done", init=True, exit_code=0),
            state(running=True),
        ),
    )

    assert [each.name for each in preparing(told)] == ["storage-initializer"]


PULLING = happened("a", "Pulling", 'Pulling image "big:1"', 5.0)
WAITS = state(waiting="ContainerCreating")


@pytest.mark.parametrize(
    ("events", "image"),
    [
        pytest.param([PULLING], "big:1", id="it has begun"),
        pytest.param([], "", id="nothing was said"),
        pytest.param(
            [
                PULLING,
                happened("a", "Pulled", 'Successfully pulled image "big:1"', 5.0),
            ],
            "",
            id="it is done in the same second",
        ),
        pytest.param(
            [
                PULLING,
                happened("a", "Failed", 'Failed to pull image "big:1": 404', 6.0),
            ],
            "",
            id="it failed",
        ),
        pytest.param(
            [
                happened("a", "Failed", 'Failed to pull image "big:1": 404', 4.0),
                PULLING,
            ],
            "big:1",
            id="it is tried again",
        ),
        pytest.param(
            [
                PULLING,
                happened(
                    "a", "Pulled", 'Container image "small:1" already present', 6.0
                ),
            ],
            "big:1",
            id="another image is there",
        ),
        pytest.param(
            [happened("b", "Pulling", 'Pulling image "big:1"')],
            "",
            id="it is another pod's",
        ),
        pytest.param([happened("a", "Pulling", "Pulling?")], "", id="of no image"),
        pytest.param(
            [PULLING, happened("a", "Scheduled", 'for image "big:1"', 9.0)],
            "big:1",
            id="something else was said of it",
        ),
    ],
)
def test_an_image_is_on_its_way_while(events, image):
    assert pulling(pod("a", node="n", states=(WAITS,)), events) == image


def test_no_image_is_on_its_way_to_no_node_or_after_an_error():
    failed = state(waiting="ErrImagePull")

    assert pulling(pod("a", states=(WAITS,)), [PULLING]) == ""
    assert pulling(pod("a", node="n", states=(failed,)), [PULLING]) == ""


def test_whatever_is_said_becomes_one_line_of_bounded_length():
    assert line("a\n\tb\x1b[31mc") == "a bc"
    assert len(line("x" * 9999)) == 300
