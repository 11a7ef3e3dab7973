"""Nothing that a replica started outlives fromzero, however fromzero ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.autoscaler.backends.scene import Calls, Watch, descendants, parent, run

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux lets a keeper adopt what it orphaned"
)


@asynccontextmanager
async def fromzero(tmp_path):
    """Start a process with a backend and one replica, and give the replica's call."""
    async with Calls() as calls:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.autoscaler.backends.driver",
            str(calls.port), str(tmp_path),
            cwd=ROOT, stdin=-1, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield process, await calls.next(), calls
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


@pytest.mark.parametrize(
    "how",
    [
        signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGABRT,
        "os._exit(0)", "1 / 0", "os.abort()", "raise SystemExit(3)", "",
    ],
    ids=str,
)  # fmt: skip
def test_no_process_of_a_replica_outlives_fromzero(how, tmp_path):
    async def scene():
        async with fromzero(tmp_path) as (process, replica, calls):
            replica.tell("escape()")
            grandchild = await calls.next()
            assert os.getsid(grandchild.pid) != os.getsid(replica.pid)
            below = descendants(process.pid)
            assert {replica.pid, grandchild.pid} < set(below)
            watch = Watch(below)
            if isinstance(how, signal.Signals):
                process.send_signal(how)
            else:
                process.stdin.write(f"{how}\n".encode())
                process.stdin.write_eof()
            await watch.all_gone()

    run(scene)


def test_none_outlives_it_when_the_guard_was_killed_before(tmp_path):
    async def scene():
        async with fromzero(tmp_path) as (process, replica, calls):
            replica.tell("escape()")
            grandchild = await calls.next()
            guard = parent(replica.ppid)
            watch = Watch([guard])
            os.kill(guard, signal.SIGKILL)
            await watch.all_gone()
            watch = Watch([replica.ppid, replica.pid, grandchild.pid])
            process.kill()
            await watch.all_gone()

    run(scene)


def test_none_outlives_it_when_both_are_killed_at_once(tmp_path):
    async def scene():
        async with fromzero(tmp_path) as (process, replica, calls):
            replica.tell("escape()")
            await calls.next()
            watch = Watch(descendants(process.pid))
            os.kill(parent(replica.ppid), signal.SIGKILL)
            process.kill()
            await watch.all_gone()

    run(scene)


def test_none_outlives_it_when_the_keeper_is_killed_too(tmp_path):
    async def scene():
        async with fromzero(tmp_path) as (process, replica, calls):
            replica.tell("escape()")
            await calls.next()
            watch = Watch(descendants(process.pid))
            os.kill(replica.ppid, signal.SIGKILL)
            process.kill()
            await watch.all_gone()

    run(scene)


def test_a_whole_wood_of_deaf_processes_is_felled(tmp_path):
    async def scene():
        async with fromzero(tmp_path) as (process, replica, calls):
            replica.tell("[escape() for _ in range(20)]")
            for _ in range(20):
                await calls.next()
            watch = Watch(descendants(process.pid))
            process.kill()
            await watch.all_gone()

    run(scene)


def test_what_a_replica_leaves_behind_ends_with_it(tmp_path):
    async def scene():
        async with fromzero(tmp_path) as (process, replica, calls):
            replica.tell("escape()")
            grandchild = await calls.next()
            watch = Watch([replica.ppid, grandchild.pid])
            replica.tell("os._exit(0)")
            await watch.all_gone()
            assert process.returncode is None

    run(scene)


def test_a_signal_meant_for_fromzero_does_not_reach_who_guards_and_keeps(tmp_path):
    async def scene():
        async with fromzero(tmp_path) as (_, replica, calls):
            for each in (parent(replica.ppid), replica.ppid):
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    os.kill(each, number)
            replica.tell("call('still here')")
            assert (await calls.next()).more == ["still here"]

    run(scene)
