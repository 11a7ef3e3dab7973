from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.facts import Container, ContainerState
from autoscaler.core.messages import Sample
from tests.autoscaler.backends.kubernetes.town import KEY, MANAGED, SLEEPY, Town


def town(**how) -> Town:
    """Return one whose revision is managed and whose pod is ready."""
    made = Town(**how)
    made.control()
    made.backend.lead(leading=True)
    made.count(made.managed)
    return made


def test_an_idle_revision_goes_to_zero_behind_an_activator_that_was_listed_first():
    here = town()

    here.run(200)

    assert here.replicas == 0
    assert [each.address for slice_ in here.ours for each in slice_.endpoints] == [
        "10.0.0.9"
    ]


def test_nothing_goes_to_zero_where_no_activator_stands_in():
    here = town()
    here.activators = ()
    here.backend.look_at(KEY)

    here.run(600)

    assert here.replicas == 1
    assert "no activator stands in" in here.status(KEY).reason


def test_what_is_held_wakes_it():
    here = town()
    here.run(200)
    assert here.replicas == 0

    here.load = 3
    here.run(2)

    assert here.replicas == 1
    assert here.status(KEY).ready == 1


def test_with_more_replicas_activators_step_aside_and_come_back_for_the_last():
    scaling = replace(SLEEPY, target_burst_capacity=0.0)
    spec = replace(MANAGED.spec, scaling=scaling)
    here = town(managed=replace(MANAGED, spec=spec))
    here.load = 28
    here.run(90)
    assert here.replicas == 4
    assert here.ours[0].endpoints == ()
    assert here.view is not None
    assert here.view.aside

    here.load = 0
    here.run(300)

    assert here.replicas == 0
    assert here.ours[0].endpoints != ()


def test_a_pod_that_was_told_to_stop_and_was_spared_serves_again():
    here = town()
    here.load = 28
    here.run(90)
    assert here.replicas == 4
    here.load = 8

    # The ReplicaSet always takes the oldest, whatever we ask for.
    here.run(400, pick=lambda names: names[0])

    assert here.replicas == len(here.pods) < 4
    assert here.status(KEY).ready == here.replicas


def test_a_wake_by_another_autoscaler_is_kept():
    here = town()
    here.run(200)
    assert here.replicas == 0

    here.replicas = 1
    here.version += 1
    here.backend.look_at(KEY)
    here.settle()
    here.control()
    here.run(30)

    assert here.replicas == 1


def test_a_count_that_somebody_else_wrote_is_put_right():
    here = town()
    here.load = 8
    here.run(70)
    before = here.replicas

    here.replicas = before + 2
    here.version += 1
    here.run(60)

    assert here.replicas == before


def test_a_refused_count_is_asked_for_again():
    here = town()
    here.run(200)
    here.refused = 3
    here.load = 1

    here.run(40)

    assert here.replicas == 1


def test_one_that_follows_wakes_and_does_nothing_else():
    here = town()
    here.run(5)
    here.backend.lead(leading=False)
    here.ours = ()
    here.run(300)
    assert here.replicas == 1
    assert here.ours == ()

    here.replicas = 0
    here.control()
    here.run(2)
    here.load = 2
    here.run(3)
    assert here.replicas == 1

    # The leader sends it to sleep again: that is no reason to wake it.
    here.load = 0
    here.run(60)
    here.replicas = 0
    here.control()
    here.run(60)
    assert here.replicas == 0


def test_what_sleeps_is_not_woken_by_a_new_leader():
    here = Town()
    here.replicas = 0
    here.control()
    here.count(here.managed)
    here.run(20)

    here.backend.lead(leading=True)
    here.run(200)

    assert here.replicas == 0
    assert here.wished == []
    here.load = 1
    here.run(2)
    assert here.replicas == 1


def test_a_wake_goes_on_whoever_leads_when_the_api_server_is_back():
    for leaderships in ((False, True), (False,), (False, False, True, True)):
        here = town()
        here.run(200)
        assert here.replicas == 0
        here.refused = 10**6
        here.load = 1
        here.run(5)
        for leading in leaderships:
            here.backend.lead(leading=leading)
            here.run(2)

        here.refused = 0
        here.run(60)

        assert here.replicas == 1


def test_who_lays_down_leadership_asks_for_nothing_more():
    here = town()
    here.refused = 1
    here.run(200)
    before = here.dropped

    here.backend.lead(leading=False)

    assert here.dropped == before + 1


def test_a_scale_down_that_was_pending_is_decided_anew_by_who_leads_again():
    here = town()
    here.load = 28
    here.run(90)
    assert here.replicas == 4
    here.refused = 10**6
    here.load = 18
    here.wished.clear()
    here.run(120)
    assert here.wished

    here.backend.lead(leading=False)
    here.backend.lead(leading=True)
    here.refused = 0
    here.run(120)

    assert here.replicas == here.status(KEY).ready == min(here.wished)


def test_one_that_follows_has_the_ports_that_the_leader_gave_and_keeps_them_leading():
    here = town()
    here.run(200)
    here.backend.lead(leading=False)

    for port in (22222, 23333):
        here.ours = tuple(replace(each, ports=(("http", port),)) for each in here.ours)
        here.backend.recorded(KEY, here.ours)
        here.backend.look_at(KEY)
        here.settle()
        assert [each.port for each in here.view.entrances] == [port]

    here.backend.lead(leading=True)
    here.run(10)
    assert [each.ports for each in here.ours] == [(("http", 23333),)]
    assert [each.port for each in here.view.entrances] == [23333]


def test_letting_go_wakes_waits_until_ready_and_takes_the_slices_away():
    here = town()
    here.run(200)
    assert here.replicas == 0

    here.count()
    assert here.replicas == 1
    here.run(3, ready=False)
    assert here.ours[0].endpoints != ()

    here.run(20)
    assert here.ours == ()
    assert list(here.backend.keys) == []
    assert here.replicas == 1


def test_what_cannot_start_is_let_go_without_a_replica_that_is_ready():
    here = town()
    here.run(200)
    assert here.replicas == 0

    here.count()
    here.control(ready=False)
    (name,) = here.pods
    state = ContainerState(name="kserve-container", waiting="InvalidImageName")
    here.pods[name] = replace(here.pods[name], states=(state,))
    here.run(20, ready=False)

    assert here.ours == ()
    assert list(here.backend.keys) == []
    assert here.replicas == 1


def test_what_was_released_is_not_managed_again_by_a_census():
    here = town()
    here.backend.release(KEY)
    here.run(20)
    assert here.ours == ()

    here.count(MANAGED)
    here.run(200)

    assert here.replicas == 1
    assert list(here.backend.keys) == []


def test_activators_listen_until_clients_that_lag_know_that_they_are_gone():
    here = town()
    here.run(10)
    here.count()
    while here.ours:
        here.run(1)

    here.run(4)

    assert here.view is not None
    assert here.view.aside
    assert here.view.entrances
    here.run(3)
    assert here.view is None


def test_what_is_let_go_is_woken_and_left_to_whoever_scales_it_then():
    here = town()
    here.load = 28
    here.run(90)
    assert here.replicas == 4

    here.count()
    here.wished.clear()
    here.replicas = 2
    here.version += 1
    here.run(4)

    assert here.wished == []
    assert here.replicas == 2


def test_what_was_released_is_managed_again_once_it_was_opted_out_and_in():
    here = town()
    here.backend.release(KEY)
    here.run(20)
    assert here.backend.released == {KEY}

    here.backend.counted("elsewhere", ())
    assert here.backend.released == {KEY}
    here.count()
    assert here.backend.released == frozenset()
    here.count(MANAGED)
    here.run(200)

    assert here.replicas == 0


def test_a_deployment_that_vanishes_is_forgotten_at_once():
    here = town()
    here.run(5)
    here.there = False

    here.count()

    assert list(here.backend.keys) == []


def test_a_failed_start_is_told_and_a_pod_that_recovers_serves():
    here = town()
    here.run(200)
    here.load = 1
    here.now += 1.0
    here.sample()
    here.settle()
    here.control(ready=False)
    here.settle()
    (name,) = here.pods
    states = tuple(
        ContainerState(
            name="kserve-container",
            restarts=n,
            waiting="CrashLoopBackOff",
            exit_code=3,
            exit_reason="Error",
        )
        for n in (1, 2)
    )
    for state in states:
        here.pods[name] = replace(here.pods[name], states=(state,))
        here.backend.look_at(KEY)
        here.settle()
    assert here.view is not None
    assert here.view.refusal is not None
    assert "3" in here.view.refusal.reason

    here.run(400)

    assert here.status(KEY).ready == 1


def test_who_is_held_for_a_pod_that_nobody_reaches_hears_it_ten_seconds_later():
    here = town()
    here.run(5)
    assert here.view is not None

    for _ in range(12):
        assert here.view.refusal is None
        sample = Sample(
            key=KEY, reporter="activator-1", span_s=1.0, concurrency=1.0, requests=0,
            held=1, in_flight=0, epoch=here.view.epoch, version=here.view.version,
        )  # fmt: skip
        here.fleet.hear(sample, here.now)
        here.backend.saw(sample)
        here.settle()
        here.now += 1.0
        if here.view.refusal is not None:
            break

    assert "no activator could connect" in here.view.refusal.reason
    assert here.now == 16.0


def test_who_leads_anew_does_not_hold_the_time_without_a_leader_against_a_pod():
    here = town()
    here.run(5)

    for number in range(24):
        if number % 16 == 0:
            here.backend.lead(leading=number > 0)
        assert here.view is not None
        sample = Sample(
            key=KEY, reporter="activator-1", span_s=1.0, concurrency=1.0, requests=0,
            held=1, in_flight=0, epoch=here.view.epoch, version=here.view.version,
        )  # fmt: skip
        here.fleet.hear(sample, here.now)
        here.backend.saw(sample)
        here.settle()
        here.now += 1.0

    # Only who leads tells activators where it is, and that is 8 s ago.
    assert here.remarked == []


def test_headless_ports_that_clash_keep_it_awake_and_say_why():
    door = replace(MANAGED.doors[0], headless=True, target="nowhere")
    here = town(managed=replace(MANAGED, doors=(door,)))
    assert Container(name="kserve-container").ports == ()

    here.run(300)

    assert here.replicas == 1
    assert "no container has it" in here.backend.refusals()[KEY]


def test_new_settings_count_at_once():
    here = town()
    here.run(200)
    assert here.replicas == 0

    scaling = replace(SLEEPY, min_replicas=2)
    spec = replace(MANAGED.spec, scaling=scaling)
    here.count(replace(MANAGED, spec=spec))
    here.run(3)

    assert here.replicas == 2


steps = st.lists(
    st.one_of(
        st.tuples(st.just("load"), st.integers(0, 40)),
        st.tuples(st.just("run"), st.integers(1, 60)),
        st.tuples(st.just("foreign"), st.integers(0, 5)),
        st.tuples(st.just("kill"), st.integers(0, 3)),
        st.tuples(st.just("lead"), st.integers(0, 1)),
        st.tuples(st.just("activators"), st.integers(0, 1)),
    ),
    max_size=10,
)


@settings(max_examples=60, deadline=None)
@given(steps=steps)
def test_whatever_happens_it_comes_to_rest_in_bounds_and_asleep_when_idle(steps):
    here = town()
    for kind, value in steps:
        match kind:
            case "load":
                here.load = value
            case "run":
                here.run(value)
            case "foreign":
                here.replicas = value
                here.version += 1
                here.backend.look_at(KEY)
            case "kill":
                names = list(here.pods)
                if value < len(names):
                    del here.pods[names[value]]
            case "lead":
                here.backend.lead(leading=bool(value))
            case "activators":
                here.activators = ("activator-1",) * value
                here.backend.look_at(KEY)
        if here.activators and here.load == 0:
            assert here.replicas <= max(5, SLEEPY.max_replicas)
    here.backend.lead(leading=True)
    here.activators = ("activator-1",)
    here.backend.look_at(KEY)
    here.load = 0

    here.run(600)

    assert here.replicas == 0
    assert here.ours[0].endpoints != ()
    here.load = 1
    here.run(3)
    assert here.status(KEY).ready == 1


def test_for_want_of_a_gpu_it_is_capped_with_the_reason_and_does_not_flap():
    here = town()
    here.gpus = 3
    here.load = 28

    here.run(90)
    asked = len(here.wished)
    here.run(120)

    assert here.status(KEY).ready == 3
    assert here.replicas == 3
    assert "GPU" in here.status(KEY).reason
    assert any("nvidia.com/gpu" in each.reason for each in here.remarked)
    assert len(here.wished) - asked <= 1
    assert here.view is not None
    assert here.view.refusal is None


def test_what_must_not_go_to_zero_by_its_load_stays_until_it_may():
    here = town()
    here.keeps = "its load is not known"
    here.run(300)
    assert here.replicas == 1
    assert "its load is not known" in here.status(KEY).reason

    here.keeps = ""
    here.run(300)
    assert here.replicas == 0


def test_a_count_that_is_never_taken_refuses_who_waits_with_the_reason():
    here = town()
    here.run(200)
    here.refused = 10**6
    here.load = 1
    here.run(1)

    here.backend.refused(KEY, "admission webhook denied the request")
    here.settle()

    assert here.view is not None
    assert here.view.refusal is not None
    assert "denied" in here.view.refusal.reason
    assert [each.reason for each in here.remarked][-1].startswith("admission")


def test_what_fell_asleep_under_another_leader_stays_asleep():
    here = town(replicas=3)
    here.backend.lead(leading=False)
    here.run(200)
    here.replicas = 0
    here.version += 1
    here.control()
    here.run(30)

    here.backend.lead(leading=True)
    here.run(30)

    assert here.replicas == 0


def test_a_refused_scale_down_takes_nobody_down():
    here = town()
    here.load = 28
    here.run(90)
    assert here.replicas == 4
    here.backend._tended[KEY].commanded(3, ())

    here.backend.refused(KEY, "frozen until Monday")
    here.settle()

    assert here.status(KEY).ready == 4
    assert here.view is not None
    assert here.view.refusal is None
    assert here.remarked[-1].reason == "frozen until Monday"


def test_nothing_goes_to_zero_once_who_stood_in_has_gone():
    here = town()
    here.refused = 10**6
    here.run(200)
    assert here.replicas == 1
    here.activators = ()
    here.ours = ()
    here.refused = 0
    here.wished.clear()
    here.backend.look_at(KEY)

    here.settle()

    assert here.replicas == 1


def test_a_port_that_was_refused_is_given_when_it_is_free():
    door = replace(MANAGED.doors[0], headless=True, target="nowhere")
    here = town(managed=replace(MANAGED, doors=(door,)))
    here.run(5)
    assert KEY in here.backend.refusals()

    here.backend._tended[KEY].managed = MANAGED
    here.run(40)

    assert KEY not in here.backend.refusals()
