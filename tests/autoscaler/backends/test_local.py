"""Replicas as processes of this machine: real ones, started and stopped."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import asynccontextmanager

import pytest

from autoscaler.backends.base import Launch
from autoscaler.core.domain import Needs
from tests.autoscaler.backends.contract import SCENES, Stage
from tests.autoscaler.backends.scene import (
    BERT,
    CHILD,
    IRIS,
    Calls,
    Watch,
    local,
    parent,
    run,
    says,
)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_local_backend_keeps_the_promise(scene, tmp_path):
    async def play():
        async with Calls() as calls:
            running = {}

            async def kill(key, replica):
                while replica not in running:
                    call = await calls.next()
                    running[call.env["PORT"]] = call
                    for each in witness.pictures[key]:
                        if str(each.port) in running:
                            running[each.id] = running[str(each.port)]
                running[replica].tell("os.kill(os.getpid(), signal.SIGKILL)")

            backend, witness = local(tmp_path)
            async with backend:
                await scene(
                    Stage(
                        backend=backend,
                        witness=witness,
                        good=calls.launch(),
                        bad=says("print('no model'); raise SystemExit(7)"),
                        kill=kill,
                    )
                )

    run(play)


@asynccontextmanager
async def one(tmp_path, launch=None, **changes):
    """Give a backend, its witness, and the call of its only replica."""
    backend, witness = local(tmp_path, **changes)
    async with Calls() as calls, backend:
        backend.configure(IRIS, (launch or Calls.launch)(calls))
        backend.scale(IRIS, 1, ())
        yield backend, witness, await calls.next(), calls


def test_a_replica_gets_the_port_it_is_told_to_be_at(tmp_path):
    async def scene():
        async with one(tmp_path) as (_, witness, call, _calls):
            (replica,) = await witness.count(IRIS, 1)
            assert (replica.host, str(replica.port)) == ("127.0.0.1", call.env["PORT"])

    run(scene)


def test_a_replica_runs_where_and_with_what_its_launch_says(tmp_path):
    def launch(calls):
        return calls.launch("--port=$(PORT)", "$(WHO)", "$$(WHO)", cwd=str(tmp_path),
                            env=(("WHO", "me"),))  # fmt: skip

    async def scene():
        async with one(tmp_path, launch) as (_, _witness, call, _calls):
            assert call.argv == [f"--port={call.env['PORT']}", "me", "$(WHO)"]
            assert call.cwd == str(tmp_path)
            assert "CUDA_VISIBLE_DEVICES" not in call.env

    run(scene)


def test_a_model_of_this_machine_takes_the_place_of_the_mount(tmp_path):
    model = tmp_path / "model"
    model.mkdir()

    def launch(calls):
        return calls.launch(
            "--dir=/mnt/models/en", storage_uri=f"file://{model}",
            env=(("ROOT", "/mnt/models"),),
        )  # fmt: skip

    async def scene():
        async with one(tmp_path, launch) as (_, _witness, call, _calls):
            assert call.argv == [f"--dir={model}/en"]
            assert call.env["MODEL_DIR"] == call.env["ROOT"] == str(model)

    run(scene)


def test_a_model_that_is_not_there_is_a_start_that_failed(tmp_path):
    async def scene():
        backend, witness = local(tmp_path)
        async with backend:
            backend.configure(IRIS, says("", storage_uri=str(tmp_path / "gone")))
            backend.scale(IRIS, 1, ())
            failure = await witness.failure()
            assert failure.final
            assert failure.reason == (
                f"storage: {tmp_path}/gone: there is no {tmp_path}/gone"
            )

    run(scene)


def test_stop_is_sigterm_first_and_no_failure(tmp_path):
    async def scene():
        async with one(tmp_path) as (backend, witness, call, calls):
            call.tell("signal.signal(signal.SIGTERM, lambda *_: call('asked'))")
            call.tell("call('listening')")
            assert (await calls.next()).more == ["listening"]
            (replica,) = await witness.count(IRIS, 1)
            backend.scale(IRIS, 0, (replica.id,))
            assert (await calls.next()).more == ["asked"]
            assert witness.addressed(IRIS) == [replica]  # There until it has gone.
            call.tell("os._exit(5)")
            await witness.count(IRIS, 0)
            assert witness.failures == []

    run(scene)


DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN); call('deaf')"


def test_what_outlasts_its_grace_is_killed(tmp_path):
    async def scene():
        async with one(tmp_path, lambda calls: calls.launch(grace_s=0.05)) as (
            backend, witness, call, calls,
        ):  # fmt: skip
            call.tell(DEAF)
            await calls.next()
            watch = Watch([call.pid])
            backend.scale(IRIS, 0, ())
            await witness.count(IRIS, 0)
            await watch.all_gone()
            assert "ended" not in str(witness.failures)

    run(scene)


def test_leaving_stops_all_with_grace(tmp_path):
    async def scene():
        async with Calls() as calls:
            backend, witness = local(tmp_path)
            async with backend:
                backend.configure(IRIS, calls.launch())
                backend.configure(BERT, calls.launch())
                backend.scale(IRIS, 2, ())
                backend.scale(BERT, 1, ())
                running = [await calls.next() for _ in range(3)]
                watch = Watch([each.pid for each in running])
                await witness.count(IRIS, 2)
            assert witness.pictures == {IRIS: (), BERT: ()}
            await watch.all_gone()

    run(scene)


def test_who_is_in_a_hurry_cancels_the_leaving_and_all_is_killed(tmp_path):
    async def scene():
        async with Calls() as calls:
            backend, witness = local(tmp_path)

            async def live(ready, leave):
                async with backend:
                    backend.configure(IRIS, calls.launch(grace_s=3600.0))
                    backend.scale(IRIS, 1, ())
                    ready.set()
                    await leave.wait()

            async with asyncio.TaskGroup() as tasks:
                ready, leave = asyncio.Event(), asyncio.Event()
                life = tasks.create_task(live(ready, leave))
                call = await calls.next()
                call.tell("signal.signal(signal.SIGTERM, lambda *_: call('asked'))")
                call.tell("call('listening')")
                await calls.next()
                watch = Watch([call.pid])
                leave.set()
                assert (await calls.next()).more == ["asked"]
                life.cancel()
            assert life.cancelled()
            assert witness.pictures[IRIS] == ()
            await watch.all_gone()

    run(scene)


def test_a_replica_that_ends_while_it_starts_says_why_at_once(tmp_path):
    code = "import sys; print('loading'); sys.exit('ModuleNotFoundError: torch')"

    async def scene():
        backend, witness = local(tmp_path)
        async with backend:
            backend.configure(IRIS, says(code))
            backend.scale(IRIS, 1, ())
            failure = await witness.failure()
            assert failure.final
            assert failure.reason.startswith("exit status 1: ")
            assert "loading" in failure.reason
            assert "ModuleNotFoundError: torch" in failure.reason
            assert failure.replica.startswith(IRIS.name)

    run(scene)


@pytest.mark.parametrize(
    ("command", "cwd", "reason"),
    [
        (("fromzero-no-such-program",), "", "command not found in PATH"),
        (("./nothing",), "", "there is no such program"),
        (("./plain",), "", "not executable (chmod +x it)"),
        (("./text",), "", "not a program (a script begins with #!)"),
        (("./plain",), "nowhere", "nowhere: No such file or directory"),
        ((), "", "no command to start"),
        (("a\0b",), "", "Invalid argument"),
    ],
    ids=["path", "absent", "mode", "format", "cwd", "empty", "nul"],
)
def test_a_command_that_cannot_run_says_what_is_wrong_with_it(
    command, cwd, reason, tmp_path
):
    (tmp_path / "plain").write_text("")
    (tmp_path / "text").write_text("hello")
    (tmp_path / "text").chmod(0o755)

    async def scene():
        backend, witness = local(tmp_path)
        async with backend:
            launch = Launch(command=command, cwd=str(tmp_path / cwd))
            backend.configure(IRIS, launch)
            backend.scale(IRIS, 1, ())
            failure = await witness.failure()
            assert failure.final
            assert reason in failure.reason

    run(scene)


def test_a_death_just_after_ready_is_a_failure_and_a_later_one_is_not(tmp_path):
    now = 100.0

    async def scene():
        nonlocal now
        async with one(tmp_path, clock=lambda: now, settle_s=10.0) as (
            backend, witness, call, calls,
        ):  # fmt: skip
            (replica,) = await witness.count(IRIS, 1)
            backend.ready(IRIS, replica.id)
            now = 109.5
            call.tell("sys.exit('gone mad')")
            failure = await witness.failure()
            assert not failure.final
            assert failure.reason == (
                "died 9.5 s after it was ready: exit status 1: gone mad"
            )
            await witness.count(IRIS, 0)

            backend.scale(IRIS, 1, ())
            call = await calls.next()
            (replica,) = await witness.count(IRIS, 1)
            backend.ready(IRIS, replica.id)
            now = 119.5
            call.tell("sys.exit('gone mad')")
            await witness.count(IRIS, 0)
            assert len(witness.failures) == 1

    run(scene)


def test_output_is_kept_and_bounded(tmp_path):
    code = "print('x' * 100_000); [print(n) for n in range(5000)]; 1 / 0"

    async def scene():
        backend, witness = local(tmp_path, log_lines=50)
        async with backend:
            backend.configure(IRIS, says(code))
            backend.scale(IRIS, 1, ())
            failure = await witness.failure()
            assert "ZeroDivisionError" in failure.reason
            assert len(failure.reason) <= 500
            lines = backend.logs(IRIS)
            assert len(lines) == 50
            assert lines[0].startswith(f"{failure.replica}: ")
            assert backend.logs(BERT) == ()

    run(scene)


def test_a_port_that_somebody_takes_meanwhile_is_no_failure(tmp_path):
    code = """
import os, sys
from pathlib import Path
tried = Path(os.environ["TRIED"])
tried.write_text((tried.read_text() if tried.exists() else "") + os.environ["PORT"] + " ")
if len(tried.read_text().split()) == 1:
    sys.exit("OSError: [Errno 98] Address already in use")
"""
    tried = tmp_path / "tried"

    async def scene():
        async with Calls() as calls:
            backend, witness = local(tmp_path)
            async with backend:
                env = (("TRIED", str(tried)),)
                backend.configure(IRIS, calls.launch(code=code + CHILD, env=env))
                backend.scale(IRIS, 1, ())
                call = await calls.next()
                first, second = tried.read_text().split()
                assert first != second == call.env["PORT"]
                (replica,) = await witness.count(IRIS, 1)
                assert str(replica.port) == second
                assert witness.failures == []

    run(scene)


def test_a_replica_that_never_gets_its_port_gives_up(tmp_path):
    async def scene():
        backend, witness = local(tmp_path)
        async with backend:
            backend.configure(IRIS, says("raise SystemExit('cannot bind to address')"))
            backend.scale(IRIS, 1, ())
            failure = await witness.failure()
            assert failure.reason == "exit status 1: cannot bind to address"
            assert len(backend.logs(IRIS)) == 3

    run(scene)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_fixed_port_is_waited_for_until_who_stops_has_gone(tmp_path):
    port = free_port()

    async def scene():
        async with one(tmp_path, lambda calls: calls.launch(port=port)) as (
            backend, witness, call, calls,
        ):  # fmt: skip
            assert call.env["PORT"] == str(port)
            call.tell("signal.signal(signal.SIGTERM, lambda *_: call('asked'))")
            call.tell("call('listening')")
            await calls.next()
            (old,) = await witness.count(IRIS, 1)
            backend.scale(IRIS, 1, (old.id,))
            await calls.next()
            assert [each.port for each in witness.pictures[IRIS]] == [port, 0]
            call.tell("os._exit(0)")
            again = await calls.next()
            assert again.env["PORT"] == str(port)
            assert len(await witness.count(IRIS, 1)) == 1

    run(scene)


def test_a_fixed_port_in_use_says_who_has_it(tmp_path):
    async def scene():
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            backend, witness = local(tmp_path)
            async with backend:
                backend.configure(IRIS, says("", port=port))
                backend.scale(IRIS, 1, ())
                failure = await witness.failure()
                assert failure.final
                assert failure.reason == f"port {port} is in use by another program"

    run(scene)


def test_two_replicas_of_one_fixed_port_are_one_too_many(tmp_path):
    port = free_port()

    async def scene():
        async with one(tmp_path, lambda calls: calls.launch(port=port)) as (
            backend, witness, _call, _calls,
        ):  # fmt: skip
            (holder,) = await witness.count(IRIS, 1)
            backend.scale(IRIS, 2, ())
            failure = await witness.failure()
            assert failure.reason == f"port {port} is in use by {holder.id}"

    run(scene)


def test_each_gpu_is_one_replicas_and_is_waited_for_until_it_is_given_back(tmp_path):
    async def scene():
        async with Calls() as calls:
            backend, witness = local(tmp_path, gpus=("0", "1", "2"))
            async with backend:
                backend.configure(IRIS, calls.launch(needs=Needs(gpus=2)))
                backend.configure(BERT, calls.launch(needs=Needs(gpus=1)))
                backend.scale(IRIS, 1, ())
                big = await calls.next()
                backend.scale(BERT, 1, ())
                small = await calls.next()
                assert big.env["CUDA_VISIBLE_DEVICES"] == "0,1"
                assert small.env["CUDA_VISIBLE_DEVICES"] == "2"

                big.tell("signal.signal(signal.SIGTERM, lambda *_: call('asked'))")
                big.tell("call('listening')")
                await calls.next()
                backend.scale(IRIS, 0, ())
                await calls.next()
                backend.scale(BERT, 2, ())
                await witness.until(lambda: len(witness.pictures[BERT]) == 2)
                assert len(witness.addressed(BERT)) == 1
                big.tell("os._exit(0)")
                second = await calls.next()
                assert second.env["CUDA_VISIBLE_DEVICES"] == "0"

    run(scene)


def test_who_needs_no_gpu_sees_none_and_who_needs_too_many_is_refused(tmp_path):
    async def scene():
        async with Calls() as calls:
            backend, witness = local(tmp_path, gpus=("GPU-a",))
            async with backend:
                backend.configure(IRIS, calls.launch())
                backend.scale(IRIS, 1, ())
                assert (await calls.next()).env["CUDA_VISIBLE_DEVICES"] == ""
                backend.configure(BERT, calls.launch(needs=Needs(gpus=2)))
                backend.scale(BERT, 1, ())
                failure = await witness.failure()
                assert failure.final
                assert failure.reason == "needs 2 GPUs, this machine has 1"

    run(scene)


def test_replicas_inherit_the_environment_without_fromzeros_settings(tmp_path):
    environ = {"PATH": os.defpath, "HF_TOKEN": "x", "FROMZERO_PORT": "80"}

    async def scene():
        async with one(tmp_path, environ=environ) as (_, _witness, call, _calls):
            assert call.env["HF_TOKEN"] == "x"
            assert "FROMZERO_PORT" not in call.env
            assert call.env["PATH"].split(":") == [
                *os.defpath.split(":"),
                os.path.dirname(sys.executable),
            ]
            assert call.env["PYTHONUNBUFFERED"] == "1"

    run(scene)


def test_a_replica_is_forked_from_the_guard_and_in_a_session_of_its_own(tmp_path):
    async def scene():
        async with one(tmp_path) as (_, _witness, call, _calls):
            assert os.getsid(call.pid) == call.pid
            assert call.ppid != os.getpid()
            assert parent(parent(call.ppid)) == os.getpid()

    run(scene)


def test_a_killed_keeper_takes_its_replica_along_and_a_retry_may_help(tmp_path):
    async def scene():
        async with one(tmp_path) as (backend, witness, call, calls):
            call.tell("escape()")
            grandchild = await calls.next()
            watch = Watch([call.pid, grandchild.pid])
            os.kill(call.ppid, 9)
            failure = await witness.failure()
            assert not failure.final
            assert failure.reason == "ended unseen: its keeper was killed"
            await watch.all_gone()
            backend.scale(IRIS, 1, ())
            await calls.next()

    run(scene)


def test_a_killed_guard_is_started_again_and_the_old_ones_replicas_are_kept(tmp_path):
    async def scene():
        async with one(tmp_path, lambda calls: calls.launch(grace_s=0.1)) as (
            backend, witness, call, calls,
        ):  # fmt: skip
            call.tell("escape()")
            grandchild = await calls.next()
            watch = Watch([call.pid, grandchild.pid])
            guard = parent(call.ppid)
            dying = Watch([guard])
            os.kill(guard, 9)
            await dying.all_gone()
            backend.configure(BERT, calls.launch())
            backend.scale(BERT, 1, ())
            other = await calls.next()
            assert parent(other.ppid) != guard
            (old,) = await witness.count(IRIS, 1)
            backend.scale(IRIS, 0, (old.id,))
            await witness.count(IRIS, 0)
            await watch.all_gone()

    run(scene)
