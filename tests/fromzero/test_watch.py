from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager

from autoscaler.signature import signature
from fromzero.watch import watch

SOON_S = 0.005


class Seen:
    """Count changes; wait for the next one."""

    def __init__(self) -> None:
        self.count = 0
        self.asked = asyncio.Event()
        self._changed = asyncio.Condition()

    async def changed(self) -> None:
        async with self._changed:
            self.count += 1
            self._changed.notify_all()

    async def times(self, count: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.count >= count)


@asynccontextmanager
async def watching(*paths, every_s=SOON_S):
    seen = Seen()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        names = [str(path) for path in paths]
        task = group.create_task(
            watch(lambda: signature(names), seen.changed, seen.asked, every_s)
        )
        await asyncio.sleep(0)  # It looks before anything changes.
        yield seen
        task.cancel()


def test_a_file_that_was_written_has_changed(tmp_path):
    async def scene():
        path = tmp_path / "a.yaml"
        path.write_text("one")
        async with watching(path) as seen:
            path.write_text("two, longer")
            await seen.times(1)

    asyncio.run(scene())


def test_a_file_that_was_replaced_by_renaming_has_changed(tmp_path):
    async def scene():
        path, other = tmp_path / "a.yaml", tmp_path / "b"
        path.write_text("one")
        other.write_text("two")
        os.utime(other, ns=(0, path.stat().st_mtime_ns))
        async with watching(path) as seen:
            other.replace(path)
            await seen.times(1)

    asyncio.run(scene())


def test_a_file_that_came_into_a_directory_or_went_has_changed_it(tmp_path):
    async def scene():
        async with watching(tmp_path) as seen:
            (tmp_path / "a.yaml").write_text("one")
            await seen.times(1)
            (tmp_path / "a.yaml").unlink()
            await seen.times(2)

    asyncio.run(scene())


def test_asking_is_a_change_though_no_file_has_changed(tmp_path):
    async def scene():
        async with watching(tmp_path, every_s=1000) as seen:
            seen.asked.set()
            await seen.times(1)
            seen.asked.set()
            await seen.times(2)

    asyncio.run(scene())


def test_one_change_is_told_once(tmp_path):
    async def scene():
        path = tmp_path / "a.yaml"
        path.write_text("one")
        async with watching(path) as seen:
            path.write_text("two, longer")
            await seen.times(1)
            seen.asked.set()  # Told after any that came on its own.
            await seen.times(2)

        assert seen.count == 2

    asyncio.run(scene())


def test_what_changed_between_its_reading_and_the_first_look_is_told(tmp_path):
    async def scene():
        path = tmp_path / "a.yaml"
        path.write_text("one")
        read, seen = signature([str(path)]), Seen()
        path.write_text("two, longer")
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            work = watch(lambda: read, seen.changed, seen.asked, SOON_S)
            task = group.create_task(work)
            await seen.times(1)
            task.cancel()

    asyncio.run(scene())


def test_what_could_not_be_read_is_tried_once_for_each_change(tmp_path):
    async def scene():
        path = tmp_path / "a.yaml"
        path.write_text("one")
        read, seen = signature([str(path)]), Seen()
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            work = watch(lambda: read, seen.changed, seen.asked, SOON_S)
            task = group.create_task(work)
            path.write_text("two, longer")
            await seen.times(1)
            path.write_text("three, longer than that")
            await seen.times(2)
            await asyncio.sleep(10 * SOON_S)
            task.cancel()

        assert seen.count == 2

    asyncio.run(scene())
