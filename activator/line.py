"""The connection to one autoscaler, made again and again."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from socket import SHUT_RDWR
from typing import Final, Protocol, TypeVar

import aiohttp
from aiohttp import ClientWebSocketResponse, WSMsgType

from activator.outbox import Outbox
from autoscaler.clock import Clock
from autoscaler.core.envelope import (
    LARGEST,
    ROOM,
    USUAL,
    expected,
    framed,
    opened,
    read,
    spoken,
    written,
)
from autoscaler.core.frames import (
    Challenge,
    DownFrame,
    Handshake,
    Hello,
    Refused,
    Routing,
    UpFrame,
    Welcome,
)
from autoscaler.core.handshake import NEWEST, OLDEST, Keys, Seal, SealError, prove
from autoscaler.core.pause import pause_s
from autoscaler.core.wire import WireError

_log = logging.getLogger(__name__)

_CONNECT_S: Final = 3.0
_GREETING_S: Final = 5.0
_SEND_S: Final = 10.0
_BEAT_S: Final = 5.0
_CLOSE_S: Final = 1.0
_FIRST_S: Final = 0.2
_LAST_S: Final = 5.0

W = TypeVar("W")


class LinkError(Exception):
    """A link cannot be made, or has broken; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """Who an activator says that it is."""

    name: str
    instance: str
    known: Callable[[], Keys]
    """Reads the secrets that count now."""


class Hearer(Protocol):
    """Who is told what comes over a line."""

    @property
    def term(self) -> int:
        """Return the term of the leader whose views it has; -1: it has none."""

    def met(self, line: Line) -> None:
        """Know that *line* is connected, and say on it what must be said first."""

    def heard(self, line: Line, message: object) -> None:
        """Take a message, which is a DownFrame."""

    def trouble(self, kind: str) -> None:
        """Count what went wrong, in a word of a fixed list."""


class Line:
    """Keep one connection for as long as it is `wanted`; tell a *hearer* of it."""

    def __init__(self, host: str, port: int, badge: Badge, hearer: Hearer) -> None:
        self.host = host
        self.port = port
        self.wanted = True
        """Its address is one of the autoscalers'; else it ends when it breaks."""
        self.connected = False
        self.leading = False
        """What the autoscaler last said, and in which term."""
        self.term = -1
        self.seen: set[object] | None = None
        """Revisions of its snapshot so far; None: there is none under way."""
        self.parts: list[Routing] = []
        """Parts of its routes so far."""
        self._badge = badge
        self._hearer = hearer
        self._outbox = Outbox()
        self._stirred = asyncio.Event()

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def tell(self, message: UpFrame) -> None:
        """Send *message*; while there is no connection it is let go."""
        if self.connected:
            if not self._outbox.put(message):
                self._hearer.trouble("dropped")
            self._stirred.set()

    async def run(
        self, session: aiohttp.ClientSession, uniform: Callable[[], float], clock: Clock
    ) -> None:
        """Connect, and connect again, until it is not wanted any more."""
        failures = 0
        told = ""
        while self.wanted:
            began = clock()
            try:
                why = await self._once(session)
            except LinkError as error:
                why = str(error)
            if self.connected:
                self._part()
                told = ""
                if clock() - began > _LAST_S:
                    failures = 0  # What breaks at once is like what is not made.
            failures += 1
            if why != told:
                # Once for each reason: an autoscaler that is away is away for long.
                _log.warning('no link autoscaler=%s reason="%s"', self, why)
                told = why
            if self.wanted:
                await asyncio.sleep(pause_s(failures, _FIRST_S, _LAST_S, uniform()))

    def _part(self) -> None:
        self.connected = self.leading = False
        self.seen = None
        self.parts = []
        self._outbox.clear()

    async def _once(self, session: aiohttp.ClientSession) -> str:
        """Connect, and talk until it breaks; return why it did."""
        url = f"http://{self}/link"
        try:
            async with asyncio.timeout(_CONNECT_S):
                socket = await session.ws_connect(
                    url, max_msg_size=LARGEST, heartbeat=_BEAT_S
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise LinkError(
                f"cannot connect: {str(error) or type(error).__name__}"
            ) from error
        try:
            key, version = await self._greet(socket)
            self.connected = True
            _log.info("linked autoscaler=%s version=%d", self, version)
            self._hearer.met(self)
            return await self._talk(socket, key, version)
        except (aiohttp.ClientError, OSError) as error:
            raise LinkError(f"it broke: {error}") from error
        finally:
            await _close(socket)

    async def _greet(self, socket: ClientWebSocketResponse) -> tuple[bytes, int]:
        """Return the key for seals and the version, once both know who is there."""
        badge = self._badge
        try:
            known = badge.known()
        except (OSError, ValueError) as error:
            self._hearer.trouble("secret")
            raise LinkError(f"the secret cannot be read: {error}") from error
        hello = Hello(
            name=badge.name,
            instance=badge.instance,
            nonce=secrets.token_hex(16),
            oldest=OLDEST,
            newest=NEWEST,
            term=self._hearer.term,
        )
        try:
            async with asyncio.timeout(_GREETING_S):
                await socket.send_str(spoken(hello))
                challenge = self._expect(await _hear(socket), Challenge)
                answer = prove(known, hello, challenge)
                if answer is None:
                    self._hearer.trouble("secret")
                    raise LinkError("the autoscaler does not know our secret")
                proof, key = answer
                await socket.send_str(spoken(proof))
                self._expect(await _hear(socket), Welcome)
        except WireError as error:
            self._hearer.trouble("garbled")
            raise LinkError(str(error)) from error
        except TimeoutError as error:
            rule = f"it did not end its greeting within {_GREETING_S:g} s"
            raise LinkError(rule) from error
        return key, challenge.version

    def _expect(self, word: object, of: type[W]) -> W:
        if isinstance(word, Refused):
            self._hearer.trouble("refused")
            raise LinkError(f"refused: {word.reason}")
        return expected(word, of)

    async def _talk(
        self, socket: ClientWebSocketResponse, key: bytes, version: int
    ) -> str:
        """Talk until it ends; return why it did."""
        why: list[str] = []
        over = asyncio.Event()

        async def until(end: Coroutine[object, object, str]) -> None:
            why.append(await end)
            over.set()

        async with asyncio.TaskGroup() as tasks:
            talking = [
                tasks.create_task(until(self._read(socket, Seal(key, "down")))),
                tasks.create_task(until(self._write(socket, Seal(key, "up"), version))),
            ]
            await over.wait()
            for each in talking:
                each.cancel()
        return why[0]

    async def _read(self, socket: ClientWebSocketResponse, seal: Seal) -> str:
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                self._hearer.trouble("garbled")
                return f"it sent {message.type.name} {str(message.data)[:80]!r}"
            try:
                found = opened(seal.open(message.data), DownFrame)
            except (SealError, WireError) as error:
                self._hearer.trouble("garbled")
                return str(error)
            for _ in found.unknown:
                self._hearer.trouble("unknown")
            for wrong in found.wrong:
                self._hearer.trouble("garbled")
                _log.error('message refused autoscaler=%s reason="%s"', self, wrong)
            for each in found.messages:
                try:
                    self._hearer.heard(self, each)
                except Exception:
                    _log.exception("failed to hear autoscaler=%s", self)
        return "the autoscaler closed it"

    async def _write(
        self, socket: ClientWebSocketResponse, seal: Seal, version: int
    ) -> str:
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            while texts := self._next():
                frame = seal.put(framed(texts, version))
                try:
                    async with asyncio.timeout(_SEND_S):
                        await socket.send_str(frame)
                except TimeoutError:
                    return f"it did not read for {_SEND_S:g} s"
                except (aiohttp.ClientError, OSError) as error:
                    return f"it cannot be written to: {error}"

    def _next(self) -> list[str]:
        """Return as many messages as fit in the next frame."""
        texts: list[str] = []
        size = 0
        while size < USUAL and (message := self._outbox.take()) is not None:
            try:
                text = written(message)
            except WireError as error:
                self._hearer.trouble("large")
                _log.error("message dropped reason=%s", error)
                continue
            if texts and size + len(text) + ROOM > LARGEST:
                self._outbox.put(message)
                break
            texts.append(text)
            size += len(text) + 1
        return texts


async def _hear(socket: ClientWebSocketResponse) -> object:
    message = await socket.receive()
    if message.type is not WSMsgType.TEXT:
        raise WireError(f"a greeting has {message.type.name}, must be text")
    return read(message.data, Handshake)


async def _close(link: ClientWebSocketResponse) -> None:
    try:
        async with asyncio.timeout(_CLOSE_S):
            await link.close()
    except TimeoutError:
        pass  # It does not read: what waits for it is of no use any more.
    finally:
        sock = link.get_extra_info("socket")
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(SHUT_RDWR)
