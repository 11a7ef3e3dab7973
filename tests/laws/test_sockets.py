"""Two autoscalers and three activators with real links between them, which break.

Leaders change, links are cut and processes die in the middle of it; judged by what is
under way at each replica, as the replica itself would count it.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack

import pytest

from autoscaler.clock import monotonic
from autoscaler.core.messages import Downlink, View
from tests.fakes.linked import Front, House, front, house, play, replicas, spec, until
from tests.fakes.sharing import KEY, Obeying

LIMIT = 3
REPLICAS = ("r1", "r2")
REST_S = 0.2


class Scene:
    """All of it, and chance."""

    def __init__(self, seed: int, stack: AsyncExitStack) -> None:
        self.chance = random.Random(seed)
        self.stack = stack
        self.houses: list[House] = []
        self.fronts: dict[str, Front] = {}
        self.obeying: dict[str, Obeying] = {}
        self.ghosts: list[tuple[float, Obeying]] = []
        """Those whose process ended, and until when what they began may go on."""
        self.term = 1
        self.leads = 0
        self.born = 0
        self.took = 0

    async def begin(self) -> None:
        for term in (1, None):
            # They have no time to lag behind one another: they see one picture.
            made = await self.stack.enter_async_context(
                house(term, rest_s=REST_S, inherits_s=3600.0)
            )
            made.loop.configure(KEY, spec(limit=LIMIT, replicas=len(REPLICAS)))
            made.loop.observed(KEY, replicas(*REPLICAS))
            self.houses.append(made)
        for _ in range(3):
            await self.come()

    async def come(self) -> None:
        self.born += 1
        name = f"a{self.born}"
        machine = self.obeying[name] = Obeying(name)
        made = await self.stack.enter_async_context(
            front(name, *(each.address for each in self.houses))
        )
        down = made.down

        def obey(message: Downlink) -> None:
            down(message)
            if isinstance(message, View):
                machine.apply(message)
                self.dispatch()

        made.down = obey  # type: ignore[method-assign]
        self.fronts[name] = made
        await until(lambda: made.link.synced)

    def dispatch(self) -> None:
        for each in self.obeying.values():
            before = sum(each.running.values())
            each.dispatch()
            self.took += sum(each.running.values()) - before
        now = monotonic()
        ghosts = [each for until, each in self.ghosts if until > now]
        everybody = [*self.obeying.values(), *ghosts]
        for replica in REPLICAS:
            running = sum(each.running.get(replica, 0) for each in everybody)
            assert running <= LIMIT, f"{replica} has {running} of {LIMIT}"

    async def step(self) -> None:
        name = self.chance.choice(list(self.fronts))
        machine = self.obeying[name]
        match self.chance.choices(
            ["arrive", "finish", "report", "cut", "lead", "die", "turn"],
            [8, 10, 12, 0.2, 0.3, 0.05, 2],
        )[0]:
            case "arrive":
                machine.held += self.chance.randint(1, 4)
            case "finish":
                machine.finish(self.chance.choice(REPLICAS))
            case "report":
                self.fronts[name].link.tell(machine.report())
            case "cut":
                self.chance.choice(self.houses).cut(name)
            case "lead":
                self.lead()
            case "die" if self.born < 20:
                self.die(name)
                await self.come()
            case "turn":
                for each in self.houses:
                    each.link._turn()
        self.dispatch()
        for _ in range(self.chance.choice([0, 0, 1, 5, 20])):
            await asyncio.sleep(0)

    def lead(self) -> None:
        self.term += 1
        self.houses[self.leads].lead(leading=False, term=self.term - 1)
        self.leads = 1 - self.leads
        self.houses[self.leads].lead(term=self.term)

    def die(self, name: str) -> None:
        # It ends a little before all others may have what it had.
        self.ghosts.append((monotonic() + 0.9 * REST_S, self.obeying.pop(name)))
        gone = self.fronts.pop(name)
        gone.down = lambda message: None  # type: ignore[method-assign]
        for each in self.houses:
            each.link.ended(name)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_links_that_break_and_leaders_that_change_never_overload_a_replica(
    seed: int, caplog
):
    async def scene() -> None:
        async with AsyncExitStack() as stack:
            it = Scene(seed, stack)
            await it.begin()
            for _ in range(4000):
                await it.step()
            assert it.took > 100, "it was no test"

    play(scene(), 60.0)
    assert not [each for each in caplog.records if each.exc_info]
