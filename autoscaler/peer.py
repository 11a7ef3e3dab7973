"""One activator's socket: what it is told goes out in frames, what it says comes in.

What waits to go out are levels, the newest of each: a reader that is slow makes no heap
of them, and one that is too slow is cut off and comes again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Final

from aiohttp import WSMsgType, web

from autoscaler.bucket import Bucket
from autoscaler.clock import Clock
from autoscaler.core.domain import Route
from autoscaler.core.envelope import LARGEST, ROOM, USUAL, framed, opened, written
from autoscaler.core.frames import DownFrame, Lead, Out, Routing, Synced, UpFrame
from autoscaler.core.handshake import Seal, SealError
from autoscaler.core.messages import Gone, View
from autoscaler.core.wire import WireError

_BURST_S: Final = 4.0
"""What may come in so many seconds may come at once."""
_ROUTES: Final = 200
"""In one part."""

Trouble = Callable[[str], None]
"""Told of what goes wrong, in a word of a fixed list."""


class Peer:
    """The link to one activator, from its welcome to its end.

    Of what it says *rate* messages a second are read, and no more: 1,000 revisions that
    are awake bring 1,000. A frame to it must have left within *slow_s*.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        key: bytes,
        version: int,
        clock: Clock,
        trouble: Trouble,
        *,
        rate: float = 5_000.0,
        slow_s: float = 10.0,
    ) -> None:
        self._socket = socket
        self._version = version
        self._clock = clock
        self._trouble = trouble
        self._bucket = Bucket(_BURST_S * rate, each_s=1 / rate)
        self._slow_s = slow_s
        self._into = Seal(key, "up")
        self._out = Seal(key, "down")
        self._waiting: dict[Hashable, tuple[DownFrame, ...]] = {}
        """In the order in which they go out; a newer one takes the older one's turn."""
        self._going: deque[DownFrame] = deque()
        self._stirred = asyncio.Event()
        self._over = asyncio.Event()
        self.why = "it went away"
        """Why the link has ended, once it has."""
        self.stuck = False
        """It does not read what it was sent."""

    def tell(self, message: View | Gone | Lead | Synced | Out) -> None:
        """Say *message*, in place of an older one of its kind that still waits."""
        match message:
            case Gone(key=key):
                self._put(key, (message,))
            case View(key=key):
                before = self._waiting.get(key, ())
                # It has to forget the old one first: versions begin anew.
                gone = before[:1] if before and isinstance(before[0], Gone) else ()
                self._put(key, (*gone, message))
            case Lead() | Synced() | Out():
                self._put(type(message).__name__, (message,))

    def reroute(self, routes: tuple[Route, ...]) -> None:
        """Say all routes."""
        parts = [
            routes[at : at + _ROUTES] for at in range(0, len(routes), _ROUTES)
        ] or [()]
        self._put(
            Routing.__name__,
            tuple(
                Routing(routes=part, part=number, parts=len(parts))
                for number, part in enumerate(parts)
            ),
        )

    def clear(self) -> None:
        """Say nothing of what still waits."""
        self._waiting.clear()
        # Of routes in parts the rest has no meaning either.
        self._going.clear()

    def cut(self, why: str) -> None:
        """End it now."""
        if not self._over.is_set():
            self.why = why
            self._over.set()

    async def run(self, heard: Callable[[object], None]) -> None:
        """Talk until either side ends it; *heard* is told each message."""
        async with asyncio.TaskGroup() as tasks:
            talking = [
                tasks.create_task(self._write()),
                tasks.create_task(self._read(heard)),
            ]
            await self._over.wait()
            for each in talking:
                each.cancel()

    def _put(self, of: Hashable, messages: tuple[DownFrame, ...]) -> None:
        self._waiting[of] = messages
        self._stirred.set()

    async def _write(self) -> None:
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            while texts := self._next():
                frame = self._out.put(framed(texts, self._version))
                try:
                    async with asyncio.timeout(self._slow_s):
                        await self._socket.send_str(frame)
                except TimeoutError:
                    self._trouble("slow")
                    self.stuck = True
                    self.cut(f"it did not read for {self._slow_s:g} s")
                    return
                except OSError as error:
                    self.cut(f"it cannot be written to: {error}")
                    return
                # A snapshot has many frames, and others their turn.
                await asyncio.sleep(0)

    def _next(self) -> list[str]:
        """Return as many messages as fit in the next frame."""
        texts: list[str] = []
        size = 0
        while size < USUAL:
            if not self._going:
                if not self._waiting:
                    break
                self._going.extend(self._waiting.pop(next(iter(self._waiting))))
            try:
                text = written(self._going[0])
            except WireError:
                self._trouble("large")
                self._going.popleft()
                continue
            if texts and size + len(text) + ROOM > LARGEST:
                break
            self._going.popleft()
            texts.append(text)
            size += len(text) + 1
        return texts

    async def _read(self, heard: Callable[[object], None]) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                self._trouble("garbled")
                sent = f"{message.type.name} {str(message.data)[:80]!r}"
                self.cut(f"it sent {sent}, must be text")
                return
            try:
                found = opened(self._into.open(message.data), UpFrame)
            except (SealError, WireError) as error:
                self._trouble("garbled")
                self.cut(str(error))
                return
            for _ in found.wrong:
                self._trouble("garbled")
            for _ in found.unknown:
                self._trouble("unknown")
            for each in found.messages:
                heard(each)
            count = 1 + len(found.messages) + len(found.wrong) + len(found.unknown)
            wait_s = self._bucket.take(count, self._clock())
            if wait_s:
                # Not read, not sent: it waits at the other side, where it is bounded.
                self._trouble("throttled")
                await asyncio.sleep(wait_s)
        self.cut(self.why)
