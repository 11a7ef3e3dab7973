"""The machine in this process: documents, activator, autoscaler, replicas."""

from __future__ import annotations

import asyncio
import json
import os
import resource
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import uvloop
from aiohttp import ClientSession

from autoscaler.core.commands import Order
from autoscaler.errors import BadInput
from fromzero import doors
from fromzero.changes import Empty, Serves
from fromzero.config import Settings
from fromzero.flags import Records
from fromzero.machine import Machine
from fromzero.records import recording
from fromzero.source import Source
from tests.fakes.running import document

pytestmark = pytest.mark.slow
LIMIT_S = 30.0
NOTHING = Records()


class Scene:
    """A machine that serves documents in a directory, and somebody who asks."""

    def __init__(self, place, **settings) -> None:
        self.place = place
        self.settings = replace(
            Settings(
                port=0, host="127.0.0.1", admin_port=0, state_dir=place / ".state",
                cache_dir=place / ".cache", seed=20,
            ),
            **settings,
        )  # fmt: skip
        self.told: list[object] = []
        self.stop = asyncio.Event()
        self._more = asyncio.Event()

    def write(self, text: str, name: str = "echo.json") -> None:
        (self.place / name).write_text(text)

    @asynccontextmanager
    async def serving(self, records: Records = NOTHING):
        with doors.opened(self.settings) as opened, recording(records) as files:
            self.opened = opened
            defaults = self.settings.defaults(opened.activator, os.environ["PATH"])
            source = Source((self.place,), defaults, self.settings.state_dir)
            self.machine = Machine(source, self.settings, os.environ, files, self._tell)
            self.machine.loop.listen(lambda event: self._more.set())
            async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
                group.create_task(self.machine.run(opened, self.stop))
                try:
                    base = f"http://{opened.activator}"
                    async with ClientSession(base) as self.session:
                        yield self
                finally:
                    self.stop.set()

    def _tell(self, change: object) -> None:
        self.told.append(change)
        self._more.set()

    async def until(self, true) -> None:
        while not true():
            self._more.clear()
            await self._more.wait()

    async def ask(self, path: str = "/", host: str = "echo-default.localhost"):
        async with self.session.get(path, headers={"Host": host}) as answer:
            return answer.status, await answer.json()

    def states(self) -> dict[str, str]:
        return {each.key.name: each.state for each in self.machine.loop.statuses()}


def played(scene) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())


def test_a_canary_gets_its_share_and_each_version_sleeps_and_wakes_on_its_own(
    tmp_path,
):
    async def play():
        scene = Scene(tmp_path)
        scene.write(document())
        async with scene.serving():
            assert (await scene.ask())[1]["version"] == "1"
            scene.write(document("echo", "--version=2", canaryTrafficPercent=20))
            scene.machine.reload.set()
            await scene.until(lambda: len(scene.states()) == 2)
            await scene.until(lambda: set(scene.states().values()) == {"ready"})

            count = Counter([(await scene.ask())[1]["version"] for _ in range(200)])
            assert 24 <= count["2"] <= 56

            for key in [each.key for each in scene.machine.loop.statuses()]:
                await asleep(scene, key)
            version = (await scene.ask())[1]["version"]
            assert scene.states() == {
                f"echo-predictor-0000{each}": "ready" if each == version else "asleep"
                for each in ("1", "2")
            }

    played(play)


async def asleep(scene: Scene, key) -> None:
    """Put *key* to sleep as soon as it is known to have nothing to do."""

    def done() -> bool:
        scene.machine.loop.order(key, Order.SLEEP)
        return scene.states()[key.name] == "asleep"

    await scene.until(done)


def test_a_rollover_under_load_loses_no_request(tmp_path):
    async def play():
        scene = Scene(tmp_path)
        scene.write(document(containerConcurrency=2, maxReplicas=2))
        answers: list[tuple[int, str]] = []

        async def asking() -> None:
            while answers[-1:] != [(200, "2")]:
                status, body = await scene.ask()
                answers.append((status, body.get("version", "")))

        async with scene.serving(), asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(asking())
            await scene.until(lambda: len(answers) > 50)
            scene.write(
                document("echo", "--version=2", containerConcurrency=2, maxReplicas=2)
            )
            scene.machine.reload.set()

        assert {status for status, _ in answers} == {200}
        assert [version for _, version in answers].count("1") > 50

    played(play)


def test_a_transformer_wakes_with_its_predictor_and_reaches_it(tmp_path):
    async def play():
        scene = Scene(tmp_path)
        tree = json.loads(document())
        other = json.loads(document("t", "--version=t"))
        tree["spec"]["transformer"] = other["spec"]["predictor"]
        scene.write(json.dumps(tree))
        async with scene.serving():
            status, body = await scene.ask()

            assert (status, body["version"]) == (200, "t")
            assert body["predictor"]["version"] == "1"
            assert set(scene.states().values()) == {"ready"}

    played(play)


def test_a_model_that_must_not_sleep_is_started_at_once(tmp_path):
    async def play():
        scene = Scene(tmp_path)
        scene.write(document(minReplicas=1))
        async with scene.serving():
            await scene.until(
                lambda: any(isinstance(each, Serves) for each in scene.told)
            )

    played(play)


def test_a_removed_document_is_a_removed_model(tmp_path):
    async def play():
        scene = Scene(tmp_path)
        scene.write(document())
        scene.write(document("other"), "other.json")
        async with scene.serving():
            await scene.ask()
            (tmp_path / "echo.json").unlink()
            scene.machine.reload.set()
            await scene.until(lambda: set(scene.states()) == {"other-predictor-00001"})

            assert (await scene.ask())[0] == 404

    played(play)


def test_requests_are_recorded_as_a_trace(tmp_path):
    async def play():
        documents = tmp_path / "documents"
        documents.mkdir()
        scene = Scene(documents)
        scene.write(document())
        async with scene.serving(Records(trace=tmp_path / "trace.csv")):
            await scene.ask()
            await scene.ask("/", "nobody-default.localhost")

    played(play)

    lines = (tmp_path / "trace.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines if line[0].isdigit()]
    assert [row[1] for row in rows] == ["default/echo"]
    assert 0 <= float(rows[0][4]) < LIMIT_S


def test_room_for_one_of_two_makes_the_idle_one_sleep_for_the_other(tmp_path):
    async def play():
        scene = Scene(tmp_path, memory=1 << 30)
        for name in ("a", "b"):
            tree = json.loads(document(name))
            (container,) = tree["spec"]["predictor"]["containers"]
            container["resources"] = {"requests": {"memory": "800Mi"}}
            scene.write(json.dumps(tree), f"{name}.json")
        async with scene.serving():
            assert (await scene.ask("/", "a-default.localhost"))[0] == 200
            assert (await scene.ask("/", "b-default.localhost"))[0] == 200

            (gone,) = [each for each in scene.told if isinstance(each, Empty)]
            assert gone.key.name == "a-predictor-00001"
            assert "default/b-predictor-00001" in gone.reason

    played(play)


@pytest.mark.parametrize("record", ["trace", "decisions"])
def test_a_record_that_cannot_be_written_is_said(record, tmp_path):
    nowhere = tmp_path / "no" / "file"

    with pytest.raises(BadInput, match=f"--record-{record} = .*, cannot be written"):
        recording(Records(**{record: nowhere})).__enter__()


def test_it_serves_as_many_connections_as_the_system_lets_it(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def play():
        scene = Scene(tmp_path)
        scene.write(document())
        async with scene.serving():
            await scene.ask()
            now, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            assert now == hard

    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024) - 1, hard))
    try:
        played(play)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_told_to_stop_it_says_so_and_serves_on_for_as_long_as_is_asked_for(tmp_path):
    async def play():
        scene = Scene(tmp_path, linger_s=3.0)
        scene.write(document())
        async with scene.serving():
            admin = f"http://{scene.opened.administration}/readyz"
            scene.stop.set()
            async with scene.session.get(admin) as answer:
                assert (answer.status, await answer.text()) == (
                    503, "it is being stopped\n",
                )  # fmt: skip
            assert (await scene.ask())[0] == 200

    played(play)
