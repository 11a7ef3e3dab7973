from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.errands import Errands


class World:
    """What was made true, by a server that fails when it is told to."""

    def __init__(self, failing: list[bool] | None = None) -> None:
        self.true: dict[str, int] = {}
        self.failing = failing or []
        self.running: set[str] = set()
        self.gate: dict[str, asyncio.Event] = {}
        self.tried = asyncio.Event()

    async def do(self, key: str, wish: int) -> None:
        assert key not in self.running, "two jobs for one thing"
        self.running.add(key)
        try:
            await asyncio.sleep(0)
            if key in self.gate:
                await self.gate[key].wait()
            if self.failing and self.failing.pop():
                raise OSError("the server is away")
            self.true[key] = wish
        finally:
            self.running.discard(key)
            self.tried.set()


async def quiet(world: World, errands: Errands[str, int], *keys: str) -> None:
    async with asyncio.timeout(10):
        while any(errands.pending(key) for key in keys):
            world.tried.clear()
            await world.tried.wait()


wishes = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=20)


@settings(max_examples=30, deadline=None)
@given(wishes=wishes, failing=st.lists(st.booleans(), max_size=3))
def test_the_last_wish_of_each_thing_comes_true(wishes, failing):
    async def scene() -> None:
        world = World(list(failing))
        async with asyncio.TaskGroup() as tasks:
            errands = Errands(world.do, tasks, lambda: 0.0)
            for key, wish in wishes:
                errands.want(key, wish)
                await asyncio.sleep(0)
            await quiet(world, errands, *"abc")
        assert world.true == dict(wishes)

    asyncio.run(scene())


def test_a_thing_that_is_stuck_holds_up_no_other():
    async def scene() -> None:
        world = World()
        world.gate["stuck"] = asyncio.Event()
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(10):
            errands = Errands(world.do, tasks, lambda: 0.0)
            errands.want("stuck", 1)
            errands.want("other", 2)
            await quiet(world, errands, "other")
            assert world.true == {"other": 2}
            assert errands.pending("stuck")
            world.gate["stuck"].set()
            await quiet(world, errands, "stuck")
        assert world.true == {"other": 2, "stuck": 1}

    asyncio.run(scene())


def test_a_new_wish_does_not_wait_for_the_rest_after_one_failure():
    async def scene() -> None:
        world = World([True])
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(10):
            errands = Errands(world.do, tasks, lambda: 1.0)
            errands.want("a", 1)
            await world.tried.wait()
            errands.want("a", 2)
            await quiet(world, errands, "a")
        assert world.true == {"a": 2}

    asyncio.run(scene())


def test_what_is_dropped_is_not_tried_again():
    async def scene() -> None:
        world = World([True])
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(10):
            errands = Errands(world.do, tasks, lambda: 0.0)
            errands.want("a", 1)
            errands.want("b", 2)
            await world.tried.wait()
            errands.abandon_all()
            errands.want("b", 3)
            errands.drop("a")
            await quiet(world, errands, "a", "b")
        assert world.true == {"b": 3}

    asyncio.run(scene())


def test_a_job_that_is_broken_off_makes_room_for_the_next_wish():
    async def scene() -> None:
        world = World()
        world.gate["a"] = asyncio.Event()
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(10):
            errands = Errands(world.do, tasks, lambda: 1.0)
            errands.want("a", 1)
            await asyncio.sleep(0)  # It begins.
            errands.abandon("a")
            errands.abandon("a")
            del world.gate["a"]
            errands.want("a", 2)
            assert errands.under_way("a") == 1
            await quiet(world, errands, "a")
        assert world.true == {"a": 2}

    asyncio.run(scene())


def test_the_same_wish_again_is_no_news():
    async def scene() -> None:
        done: list[int] = []

        async def do(_: str, wish: int) -> None:
            await asyncio.sleep(0)
            errands.want("a", wish)
            done.append(wish)

        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            errands = Errands(do, tasks, lambda: 0.0)
            errands.want("a", 1)
        assert done == [1]

    asyncio.run(scene())
