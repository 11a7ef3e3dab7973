"""One process through the guard: what it says, and how it ended."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys

import pytest

from autoscaler.backends.process import Ended, Guard, Order
from tests.autoscaler.backends.scene import Watch, plain_environ, run


def play(code, *, argv=(), env=(), **changes):
    """Run one process to its end; return its lines and how it ended."""
    lines, ends = [], []

    async def scene():
        guard, over = Guard(), asyncio.Event()

        def ended(end):
            ends.append(end)
            over.set()

        order = Order(
            argv=argv or (sys.executable, "-P", "-S", "-c", code),
            env={**plain_environ(), "PYTHONUNBUFFERED": "1", **dict(env)},
            **changes,
        )
        guard.start(order, lines.append, ended)
        await over.wait()
        await guard.close()

    run(scene)
    (end,) = ends
    return lines, end


def test_each_line_is_told_and_the_last_are_kept():
    lines, end = play("for n in range(30): print(n)")

    assert lines == [str(n) for n in range(30)]
    assert end == Ended(status=0, tail=tuple(str(n) for n in range(10, 30)))


def test_both_outputs_are_one_and_nothing_comes_in():
    lines, _ = play("import os; os.write(1, b'a\\n'); os.write(2, b'b\\n'); input()")

    assert lines[:2] == ["a", "b"]
    assert lines[-1] == "EOFError: EOF when reading a line"


def test_words_without_an_end_of_line_are_heard_too():
    lines, _ = play("print('no model', end='')")

    assert lines == ["no model"]


def test_a_bar_of_progress_is_many_lines():
    lines, _ = play("print('10 %\\r20 %\\rdone')")

    assert lines == ["10 %", "20 %", "done"]


def test_what_is_no_text_is_shown_as_well_as_can_be():
    lines, _ = play("import os; os.write(1, b'caf\\xe9 \\xe2\\x82\\xac\\n')")

    assert lines == ["caf� €"]


def test_a_line_without_end_is_cut_not_kept():
    lines, _ = play("print('x' * 1_000_000); print('after')")

    assert [len(each) for each in lines] == [4096, 5]


def test_all_that_was_written_before_the_end_is_read():
    lines, end = play("print('\\n'.join(str(n) for n in range(100_000)), flush=True)")

    assert end.tail[-1] == "99999"
    assert len(lines) == 100_000


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("", 0),
        ("raise SystemExit(7)", 7),
        ("import os; os.abort()", -signal.SIGABRT),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
    ],
)
def test_the_status_is_the_programs_own(code, status):
    assert play(code)[1].status == status


def test_an_order_may_be_bigger_than_any_socket_takes_at_once():
    env = [(f"NAME{n}", "x" * 100_000) for n in range(10)]
    lines, end = play("import os; print(len(os.environ['NAME9']))", env=env)

    assert (lines, end.status) == (["100000"], 0)


def test_an_order_bigger_than_the_system_takes_says_so():
    _, end = play("", env=[("NAME", "x" * 1_000_000)])

    assert os.strerror(end.errno) == "Argument list too long"


def test_a_directory_that_is_not_there_is_the_step_that_failed(tmp_path):
    _, end = play("", cwd=str(tmp_path / "gone"))

    assert (end.errno, end.step, end.status) == (2, "chdir", None)


def test_signals_and_descriptors_are_as_for_any_program():
    code = """
import os, signal
assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
ignored = next(line for line in open("/proc/self/status") if line.startswith("SigIgn"))
known = signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}
print(int(ignored.split()[1], 16) & sum(1 << number - 1 for number in known))
print(sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:4])
"""
    if sys.platform == "linux":
        lines, _ = play(code)

        # The interpreter itself ignores SIGPIPE and SIGXFSZ, and 32 and 33 are the C
        # library's (under make they come ignored); 3 is the listing's own.
        assert lines == ["0", "[0, 1, 2, 3]"]


@pytest.mark.slow
def test_many_at_once_all_start_and_end():
    ends = []

    async def scene():
        guard, over = Guard(), asyncio.Event()

        def ended(end):
            ends.append(end.status)
            if len(ends) == 200:
                over.set()

        order = Order(argv=("true",), env=plain_environ())
        for _ in range(200):
            guard.start(order, lambda line: None, ended)
        await over.wait()
        await guard.close()

    run(scene)
    assert ends == [0] * 200


def test_a_guard_that_is_closed_is_gone():
    async def scene():
        guard = Guard()
        assert guard.pid == 0
        guard.open()
        watch = Watch([guard.pid])
        await guard.close()
        assert guard.pid == 0
        await watch.all_gone()

    run(scene)


def test_a_flood_of_output_leaves_time_for_others():
    async def scene():
        guard, over = Guard(), asyncio.Event()
        order = Order(argv=("yes",), env=plain_environ())
        process = guard.start(order, lambda line: None, lambda end: over.set())
        for _ in range(100):
            await asyncio.sleep(0)
        process.kill()
        await over.wait()
        await guard.close()

    run(scene)


def test_what_is_started_may_open_as_many_files_as_we_could_when_it_began():
    code = "import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = min(soft, 1024) - 1
    said: list[str] = []

    async def scene():
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
        guard, over = Guard(), asyncio.Event()
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        argv = (sys.executable, "-P", "-S", "-c", code)
        order = Order(argv=argv, env=plain_environ())
        guard.start(order, said.append, lambda end: over.set())
        await over.wait()
        await guard.close()

    try:
        run(scene)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert said == [f"{few} {hard}"]
