"""Standing in and stepping aside, over every history."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.redirect import STEADY_S, Redirect, Scene

BOTH = ("act-0", "act-1")
AWAKE = Scene(ready=3, desired=3, covered=True, activators=BOTH)
ASLEEP = Scene(ready=0, desired=0, covered=False, activators=BOTH, listed=True)


def at(scene, **kw):
    return replace(scene, **kw)


def aside():
    """Return a redirect that has stepped aside by 5.0."""
    redirect = Redirect(published=True)
    redirect.look(AWAKE, 0.0)
    assert redirect.look(AWAKE, 5.0).aside
    return redirect


@pytest.mark.parametrize(
    ("scene", "why"),
    [
        pytest.param(at(AWAKE, ready=0), "no replica is ready", id="nobody serves"),
        pytest.param(at(AWAKE, ready=1), "only one replica is ready", id="one serves"),
        pytest.param(at(AWAKE, desired=1), "1 wanted", id="one is wanted"),
        pytest.param(at(AWAKE, desired=0), "0 wanted", id="none is wanted"),
        pytest.param(
            at(AWAKE, burst=-1, excess=-1), "target-burst-capacity is -1", id="always"
        ),
        pytest.param(
            at(AWAKE, burst=200, excess=-7), "excess burst capacity is -7", id="a burst"
        ),
        pytest.param(
            at(AWAKE, covered=False),
            "the Service's own slices do not show every port ready",
            id="clients would find nobody",
        ),
    ],
)
def test_activators_stand_in_at_once_while(scene, why):
    stance = aside().look(scene, 6.0)

    assert stance.published
    assert not stance.aside
    assert stance.lists == BOTH
    assert stance.why == why


@pytest.mark.parametrize(
    "scene",
    [
        pytest.param(AWAKE, id="several are ready and wanted"),
        pytest.param(at(AWAKE, burst=0, excess=-7), id="a burst is nobody's concern"),
        pytest.param(at(AWAKE, burst=200, excess=0), id="there is room for a burst"),
    ],
)
def test_activators_step_aside_after_five_steady_seconds_when(scene):
    redirect = Redirect(published=True)

    assert redirect.look(scene, 0.0).published
    assert redirect.wake_at == 5.0
    assert redirect.look(scene, 4.9).published

    stance = redirect.look(scene, 5.0)

    assert not stance.published
    assert stance.aside
    assert stance.why == "replicas serve by themselves"
    assert redirect.wake_at == inf


def test_a_moment_in_which_the_services_own_slices_miss_a_port_begins_the_five_anew():
    redirect = Redirect(published=True)
    redirect.look(AWAKE, 0.0)
    redirect.look(at(AWAKE, covered=False), 4.0)
    redirect.look(AWAKE, 4.1)

    assert redirect.look(AWAKE, 9.0).published
    assert not redirect.look(AWAKE, 9.1).published


def test_what_nobody_stands_in_for_is_left_alone_at_the_start():
    assert not Redirect(published=False).look(AWAKE, 0.0).published


def test_an_activator_on_its_way_out_is_out_at_once():
    redirect = Redirect(published=True)
    redirect.look(ASLEEP, 0.0)

    assert redirect.look(at(ASLEEP, activators=BOTH[1:]), 0.1).lists == BOTH[1:]
    assert not redirect.look(at(ASLEEP, activators=()), 0.2).published
    assert redirect.look(ASLEEP, 0.3).lists == BOTH


@pytest.mark.parametrize(
    "lacks",
    [
        pytest.param({"listed": False}, id="our slices are not written yet"),
        pytest.param({"activators": ()}, id="no activator has acknowledged it"),
    ],
)
def test_it_must_not_go_to_zero_while(lacks):
    one = at(ASLEEP, ready=1, desired=1)
    redirect = Redirect(published=True)

    assert redirect.look(at(one, **lacks), 0.0).keeps == "no activator stands in for it"
    assert redirect.look(one, 1.0).keeps == "activators stand in for less than 30 s"
    assert redirect.wake_at == 31.0
    assert redirect.look(one, 30.9).keeps
    assert redirect.look(one, 31.0).keeps == ""

    redirect.look(at(one, **lacks), 40.0)
    assert redirect.look(one, 41.0).keeps


def test_what_never_sleeps_needs_no_reason_to_stay():
    assert Redirect(published=False).look(at(AWAKE, min_replicas=1), 0.0).keeps == ""


def test_what_is_let_go_is_served_by_activators_until_one_replica_serves_steadily():
    redirect = Redirect(published=True)

    leaving = redirect.look(at(ASLEEP, leaves=True), 0.0)
    redirect.look(at(AWAKE, ready=1, desired=1, leaves=True), 10.0)
    last = redirect.look(at(AWAKE, ready=1, desired=1, leaves=True), 15.0)

    assert leaving.published
    assert leaving.keeps == last.keeps == "it is being let go"
    assert not last.published


SCENES = st.builds(
    Scene,
    ready=st.sampled_from((0, 0, 1, 2, 3)),
    desired=st.sampled_from((0, 1, 2, 3)),
    covered=st.booleans(),
    activators=st.sampled_from(((), BOTH, BOTH[:1])),
    listed=st.booleans(),
    burst=st.sampled_from((0.0, 0.0, 200.0, -1.0)),
    excess=st.sampled_from((-1, 0, 5)),
    min_replicas=st.sampled_from((0, 0, 1)),
    leaves=st.sampled_from((False, False, True)),
    vain=st.sampled_from((False, False, True)),
)
# Long calm stretches too, or nobody would ever step aside.
CALM = st.builds(replace, st.just(AWAKE), listed=st.booleans())
HISTORIES = st.lists(
    st.tuples(
        st.one_of(SCENES, CALM, st.builds(replace, SCENES, covered=st.just(True))),
        st.sampled_from((0.0, 0.1, 1.0, 2.5, 4.9, 5.0, 30.0, 31.0)),
    ),
    max_size=30,
)


@given(HISTORIES, st.booleans())
def test_no_client_ever_finds_nobody_where_somebody_could_serve(history, published):
    redirect = Redirect(published=published)
    now, calm_since, was = 0.0, inf, published
    for scene, step in history:
        now += step
        in_vain = scene.leaves and scene.vain
        calm_since = min(calm_since, now) if scene.covered or in_vain else inf

        stance = redirect.look(scene, now)

        assert set(stance.lists) <= set(scene.activators)
        assert not (stance.aside and stance.published)
        if scene.activators:
            if not in_vain and (scene.ready == 0 or not scene.covered):
                assert stance.published
            if not scene.leaves and (scene.ready <= 1 or scene.desired <= 1):
                assert stance.published
            if was and not stance.published:
                assert now >= calm_since + STEADY_S
            was = stance.published


@given(HISTORIES)
def test_it_may_go_to_zero_only_after_somebody_stood_in_for_the_whole_grace(history):
    redirect = Redirect(published=False)
    now, since = 0.0, inf
    for scene, step in history:
        now += step

        stance = redirect.look(scene, now)

        stands = stance.published and scene.listed
        since = min(since, now) if stands else inf
        if not (stance.keeps or scene.min_replicas):
            assert now >= since + scene.grace_s


@given(HISTORIES, SCENES)
def test_nothing_changes_before_it_says_and_asking_twice_changes_nothing(
    history, scene
):
    redirect, now = Redirect(published=True), 0.0
    for seen, step in history:
        now += step
        redirect.look(seen, now)
    stance = redirect.look(scene, now)
    wake_at = redirect.wake_at

    assert wake_at > now
    assert redirect.look(scene, now) == stance
    between = min(now + 100, (now + wake_at) / 2)
    assert redirect.look(scene, between) == stance
    assert redirect.wake_at == wake_at
    if wake_at < inf:
        assert redirect.look(scene, wake_at) != stance
