from __future__ import annotations

from math import inf

from autoscaler.core.domain import Replica, RevisionKey, StartFailure
from simulations.cluster import Behaviour, Cluster, Failing, Life, Machine, Part
from simulations.coldstart import measured
from simulations.engine import Engine

LLM = RevisionKey("default", "llm")
IRIS = RevisionKey("default", "iris")


class Heard:
    """A sink that writes down what it is told, and when."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.said: list[tuple[float, str, object]] = []

    def observed(self, key: RevisionKey, replicas: tuple[Replica, ...]) -> None:
        ids = tuple(replica.id for replica in replicas)
        self.said.append((self.engine.now, "observed", ids))

    def failed(self, key: RevisionKey, failure: StartFailure) -> None:
        self.said.append((self.engine.now, "failed", failure.replica))

    def listens(self, machine: Machine) -> None:
        self.said.append((self.engine.now, "listens", machine.id))

    def broke(self, machine: Machine) -> None:
        self.said.append((self.engine.now, "broke", machine.id))


def cluster(behaviour: Behaviour) -> tuple[Engine, Heard, Cluster]:
    engine = Engine(now=0.0)
    heard = Heard(engine)
    cluster = Cluster(engine, heard, seed=1)
    cluster.configure(LLM, behaviour)
    return engine, heard, cluster


def test_a_replica_is_seen_at_once_listens_after_its_start_and_goes_when_told():
    engine, heard, replicas = cluster(Behaviour(cold_start=measured(30.0), stop_s=5.0))

    replicas.scale(LLM, 1, ())
    engine.run(until=100.0)
    replicas.scale(LLM, 0, ("default/llm-1",))
    engine.run(until=200.0)

    assert heard.said == [
        (0.0, "observed", ("default/llm-1",)),
        (30.0, "listens", "default/llm-1"),
        (100.0, "observed", ("default/llm-1",)),
        (105.0, "observed", ()),
    ]
    (machine,) = replicas.machines
    assert machine.seconds == {
        Part.LOADING: 30.0,
        Part.IDLE: 70.0,
        Part.BUSY: 0.0,
        Part.DRAINING: 5.0,
    }
    assert machine.gone == 105.0


def test_first_replicas_live_as_they_were_measured_and_the_others_as_drawn():
    lives = (Life(start_s=3.0, stop_s=0.5), Life(start_s=2.0, failure="CUDA: no"))
    engine, heard, replicas = cluster(
        Behaviour(cold_start=measured(7.0), stop_s=9.0, lives=lives)
    )

    replicas.scale(LLM, 3, ())
    engine.run(until=20.0)
    replicas.scale(LLM, 0, ())
    engine.run(until=40.0)

    assert [(at, what) for at, what, _ in heard.said if what != "observed"] == [
        (2.0, "failed"),
        (3.0, "listens"),
        (7.0, "listens"),
    ]
    assert [machine.gone for machine in replicas.machines] == [20.5, 2.0, 29.0]


def test_scaling_again_to_the_same_number_starts_nothing():
    _, _, replicas = cluster(Behaviour())

    replicas.scale(LLM, 2, ())
    replicas.scale(LLM, 2, ())

    assert len(replicas.machines) == 2


def test_a_name_that_is_gone_stops_nobody_else():
    engine, _, replicas = cluster(Behaviour())
    replicas.scale(LLM, 2, ())
    engine.run(until=5.0)

    replicas.scale(LLM, 2, ("default/llm-9",))
    engine.run(until=9.0)

    assert [machine.gone for machine in replicas.machines] == [inf, inf]


def test_without_names_the_ones_that_serve_nobody_yet_go_first():
    engine, _, replicas = cluster(Behaviour(cold_start=measured(10.0)))
    replicas.scale(LLM, 1, ())
    engine.run(until=15.0)
    replicas.scale(LLM, 3, ())

    replicas.scale(LLM, 1, ())
    engine.run(until=16.0)

    assert [machine.gone for machine in replicas.machines] == [inf, 15.0, 15.0]


def test_a_start_in_a_failing_stretch_fails_and_the_next_one_does_not():
    failing = Failing(begin=0.0, end=10.0, after_s=2.0, reason="exit status 1: no")
    engine, heard, replicas = cluster(Behaviour(failing=(failing,)))

    replicas.scale(LLM, 1, ())
    engine.run(until=10.0)
    replicas.scale(LLM, 1, ())
    engine.run(until=20.0)

    assert heard.said == [
        (0.0, "observed", ("default/llm-1",)),
        (2.0, "failed", "default/llm-1"),
        (2.0, "observed", ()),
        (10.0, "observed", ("default/llm-2",)),
        (11.0, "listens", "default/llm-2"),
    ]
    assert replicas.failures == {LLM: 1}


def test_a_start_that_is_stopped_neither_listens_nor_fails():
    failing = Failing(begin=5.0, end=10.0, after_s=2.0)
    engine, heard, replicas = cluster(
        Behaviour(cold_start=measured(3.0), stop_s=9.0, failing=(failing,))
    )

    replicas.scale(LLM, 1, ())
    replicas.scale(LLM, 0, ("default/llm-1",))
    replicas.scale(LLM, 0, ("default/llm-1",))
    engine.run(until=5.0)
    replicas.scale(LLM, 1, ())
    replicas.scale(LLM, 0, ())
    engine.run(until=50.0)

    assert {what for _, what, _ in heard.said} == {"observed"}
    assert [machine.seconds[Part.LOADING] for machine in replicas.machines] == [9.0] * 2


def test_replicas_crash_after_lives_of_the_mean_asked_for():
    engine, heard, replicas = cluster(Behaviour(lifetime_s=100.0))
    replicas.scale(LLM, 400, ())
    engine.run(until=10_000.0)

    lives = [machine.gone - 1.0 for machine in replicas.machines]
    assert replicas.crashes == {LLM: 400}
    assert 85 < sum(lives) / 400 < 115
    assert sum(1 for _, what, _ in heard.said if what == "broke") == 400


def test_a_replica_that_is_stopped_does_not_crash_later():
    engine, heard, replicas = cluster(Behaviour(lifetime_s=50.0))
    replicas.scale(LLM, 20, ())
    engine.run(until=1.0)
    replicas.remove(LLM)
    replicas.remove(IRIS)
    engine.run(until=1_000.0)

    assert replicas.crashes == {}
    assert list(replicas.living(LLM)) == []
    assert replicas.find(LLM, "default/llm-1") is None
    assert heard.said[-1] == (1.0, "observed", ())


def test_a_replica_stopped_with_requests_in_flight_breaks_them():
    engine, heard, replicas = cluster(Behaviour())
    replicas.scale(LLM, 1, ())
    engine.run(until=2.0)
    replicas.machines[0].in_flight = 1

    replicas.scale(LLM, 0, ("default/llm-1",))

    assert (2.0, "broke", "default/llm-1") in heard.said


def test_start_times_are_the_replicas_own_whoever_else_starts():
    def starts(also: bool) -> list[float]:
        engine, _, replicas = cluster(Behaviour(cold_start=measured(10.0, 90.0)))
        replicas.configure(IRIS, Behaviour())
        if also:
            replicas.scale(IRIS, 3, ())
        replicas.scale(LLM, 4, ())
        engine.run(until=100.0)
        replicas.close()
        return [m.seconds[Part.LOADING] for m in replicas.machines if m.key == LLM]

    assert starts(also=False) == starts(also=True)
    assert len(set(starts(also=False))) == 4
    assert all(10 <= start <= 90 for start in starts(also=False))


def test_parts_of_those_still_there_end_with_the_run():
    engine, _, replicas = cluster(Behaviour(cold_start=measured(30.0)))
    replicas.scale(LLM, 1, ())
    engine.run(until=100.0)

    replicas.close()

    assert sum(replicas.machines[0].seconds.values()) == 100.0
