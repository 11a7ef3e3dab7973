"""Use of replicas: its arithmetic on facts, and real processes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.base import Requested
from autoscaler.backends.usage import (
    PROC,
    TICKS_PER_S,
    Look,
    Meter,
    Seen,
    Use,
    measurable,
    processes,
)
from autoscaler.core.domain import Metric
from tests.autoscaler.backends.scene import IRIS, Calls, local, run

linux = pytest.mark.skipif(not measurable(), reason="other systems have no /proc")
ROOT = 1
ONE_CORE = Requested(cpu=1.0, memory=100)


@st.composite
def trees(draw):
    """Give processes that all descend from ROOT, by number."""
    found = {ROOT: Seen(parent=0, ticks=draw(st.integers(0, 50)), memory=7)}
    for pid in range(2, draw(st.integers(2, 12))):
        found[pid] = Seen(
            parent=draw(st.sampled_from(sorted(found))),
            ticks=draw(st.integers(0, 1000)),
            memory=draw(st.integers(0, 1000)),
        )
    return found


def below(seen, root=ROOT) -> Use:
    return Look(seen, 0.0).below(root)


@given(trees())
def test_the_use_of_a_tree_is_the_sum_of_all_in_it_and_its_root_has_no_memory(seen):
    assert below(seen) == Use(
        ticks=sum(each.ticks for each in seen.values()),
        memory=sum(each.memory for pid, each in seen.items() if pid != ROOT),
    )


@given(trees(), trees())
def test_who_is_in_another_tree_is_not_counted(seen, others):
    apart = {
        pid + 100: Seen(parent=each.parent + 100, ticks=each.ticks, memory=each.memory)
        for pid, each in others.items()
    }

    assert below(seen | apart) == below(seen)
    assert below(seen | apart, ROOT + 100) == below(others)


@given(trees(), st.data())
def test_cpu_never_falls_when_one_works_is_born_is_orphaned_or_is_reaped(seen, data):
    before = below(seen).ticks
    for _ in range(5):
        pid = data.draw(st.sampled_from(sorted(seen)))
        its = seen[pid]
        match data.draw(st.sampled_from(["works", "bears", "dies"])):
            case "works":
                seen[pid] = Seen(parent=its.parent, ticks=its.ticks + 3)
            case "bears":
                seen[max(seen) + 1] = Seen(parent=pid, ticks=0)
            case "dies" if pid != ROOT:
                del seen[pid]
                above = seen[its.parent]
                seen[its.parent] = Seen(
                    parent=above.parent, ticks=above.ticks + its.ticks
                )
                for orphan, each in list(seen.items()):
                    if each.parent == pid:
                        seen[orphan] = Seen(parent=ROOT, ticks=each.ticks)
        after = below(seen).ticks
        assert after >= before
        before = after


def test_numbers_that_were_used_again_while_they_were_read_make_no_endless_tree():
    seen = {2: Seen(parent=3, ticks=1), 3: Seen(parent=2, ticks=1)}

    assert below(seen, 2).ticks == 2


def test_who_is_not_there_has_no_parent_and_no_use():
    look = Look({}, 0.0)

    assert (look.parent(5), look.below(5)) == (0, Use(ticks=0, memory=0))


def cpu(*readings, requested=ONE_CORE):
    """Return the % after each reading, 10 s apart, of replicas' seconds of CPU."""
    meter = Meter(Metric.CPU)
    return [
        meter.percent(
            {
                name: Use(ticks=round(seconds * TICKS_PER_S), memory=0)
                for name, seconds in each.items()
            },
            requested,
            at=10.0 * number,
        )
        for number, each in enumerate(readings)
    ]


@pytest.mark.parametrize(
    ("readings", "percents"),
    [
        pytest.param([{"a": 3}, {"a": 8}], [None, 50], id="a rate between two"),
        pytest.param([{"a": 3}, {"a": 3}], [None, 0], id="idle"),
        pytest.param([{"a": 0}, {"a": 25}], [None, 250], id="more than requested"),
        pytest.param(
            [{"a": 0, "b": 0}, {"a": 10, "b": 0}], [None, 50], id="the mean of two"
        ),
        pytest.param(
            [{"a": 0}, {"a": 4, "b": 90}, {"a": 8, "b": 92}],
            [None, 40, 30],
            id="a new one counts from its first reading on",
        ),
        pytest.param([{}, {}], [None, None], id="none is ready"),
        pytest.param(
            [{"a": 1}, {}, {"a": 9}, {"a": 10}],
            [None, None, None, 10],
            id="one that was away begins anew",
        ),
        pytest.param(
            [{"a": 50}, {"a": 10}, {"a": 60}],
            [None, None, 50],
            id="a sum that missed a death is measured over",
        ),
        pytest.param(
            [{"a": 50}, {"a": 10}, {"a": 15}, {"a": 20}],
            [None, None, 0, 50],
            id="one whose dead are not reaped goes on from there",
        ),
    ],
)
def test_cpu_is_a_rate_in_percent_of_the_request(readings, percents):
    assert cpu(*readings) == pytest.approx(percents)


def test_memory_is_known_at_the_first_look():
    meter = Meter(Metric.MEMORY)
    uses = {"a": Use(ticks=0, memory=80), "b": Use(ticks=0, memory=40)}

    assert meter.percent(uses, ONE_CORE, at=0.0) == 60
    assert meter.percent({}, ONE_CORE, at=1.0) is None


@pytest.mark.parametrize("metric", [Metric.CPU, Metric.MEMORY])
def test_of_no_request_there_is_no_percentage(metric):
    meter = Meter(metric)

    for at in (0.0, 1.0):
        uses = {"a": Use(ticks=0, memory=80)}
        assert meter.percent(uses, Requested(), at) is None


@given(st.integers(0, 100), st.integers(0, 100), st.floats(0.01, 8))
def test_more_work_is_never_a_smaller_percentage(less, more, cores):
    less, more = sorted((less, more))
    request = Requested(cpu=cores)

    one = cpu({"a": 0}, {"a": less}, requested=request)[1]
    other = cpu({"a": 0}, {"a": more}, requested=request)[1]
    assert one <= other


def test_where_there_is_no_proc_nothing_is_seen(tmp_path):
    assert not measurable(tmp_path / "absent")
    assert processes(tmp_path / "absent") == {}


def test_a_program_may_have_any_name_and_end_while_it_is_read(tmp_path):
    fields = ["S", "41", *["0"] * 9, "1", "2", "3", "4", *["0"] * 6, "2", "0"]
    for pid, text in (("42", f"42 (a) b (c) {' '.join(fields)}\n"), ("43", "")):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "stat").write_text(text)
    (tmp_path / "44").mkdir()
    (tmp_path / "meminfo").write_text("")

    (found,) = processes(tmp_path).items()

    assert found[0] == 42
    assert (found[1].parent, found[1].ticks) == (41, 10)
    assert found[1].memory > 0


WORK_S = 0.3
GRANDCHILD = f"""
import os, sys, time
for _ in range(2):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        break
else:
    kept = b"x" * (32 << 20)
    while time.process_time() < {WORK_S}:
        pass
    print("worked", flush=True)
    sys.stdin.readline()
    os._exit(0)
print("reaped", flush=True)
sys.stdin.readline()
"""


@linux
def test_what_a_grandchild_works_and_holds_is_its_grandparents_before_and_after_it_ends():
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", GRANDCHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "worked\n"
        working = Look(processes(), 0.0)
        process.stdin.write("\n")
        assert process.stdout.readline() == "reaped\n"
        process.stdin.write("\n")
        assert process.stdout.readline() == "reaped\n"
        ended = Look(processes(), 1.0)
        process.stdin.write("\n")

    before, after = working.below(process.pid), ended.below(process.pid)
    # A tick is lost in each of three processes at most.
    assert before.ticks >= WORK_S * TICKS_PER_S - 3
    assert before.memory >= 32 << 20
    assert after.ticks >= before.ticks
    assert after.memory == 0


ORPHAN = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while time.process_time() < {WORK_S}:
            pass
        line = call("worked")
        line.recv(1)
    os._exit(0)
"""


@linux
def test_a_replicas_use_is_that_of_all_it_started_once_it_is_ready(tmp_path):
    async def scene():
        backend, witness = local(tmp_path)
        async with Calls() as calls, backend:
            assert backend.used(IRIS, Look({}, 0.0)) == {}
            backend.configure(IRIS, calls.launch())
            backend.scale(IRIS, 1, ())
            replica = await calls.next()
            (name,) = [each.id for each in await witness.count(IRIS, 1)]
            replica.tell(f"exec({ORPHAN!r})")
            orphan = await calls.next()
            seen = processes()

            assert backend.used(IRIS, Look(seen, 0.0)) == {}
            backend.ready(IRIS, name)
            (used,) = backend.used(IRIS, Look(seen, 0.0)).items()

            assert used[0] == name
            assert used[1].ticks >= WORK_S * TICKS_PER_S - 3
            assert used[1].memory >= seen[replica.pid].memory + seen[orphan.pid].memory
            assert seen[orphan.pid].parent == replica.ppid

    run(scene)


@linux
def test_a_replica_that_lost_its_keeper_does_not_count_as_all_of_them(tmp_path):
    async def scene():
        backend, witness = local(tmp_path)
        async with Calls() as calls, backend:
            backend.configure(IRIS, calls.launch())
            backend.scale(IRIS, 1, ())
            replica = await calls.next()
            (name,) = [each.id for each in await witness.count(IRIS, 1)]
            backend.ready(IRIS, name)
            seen = processes(PROC)
            guard = seen[replica.ppid].parent
            seen[replica.pid] = Seen(parent=guard, ticks=1)

            assert backend.used(IRIS, Look(seen, 0.0)) == {}

    run(scene)
