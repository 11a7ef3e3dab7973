"""Let activators in that know the secret, and nobody else."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from aiohttp import WSMsgType, web

from autoscaler.core.envelope import expected, read, spoken
from autoscaler.core.frames import Handshake, Hello, Proof, Refused, Welcome
from autoscaler.core.handshake import (
    NEWEST,
    OLDEST,
    Keys,
    SecretError,
    accept,
    challenge,
    common,
)
from autoscaler.core.wire import WireError
from autoscaler.peer import Trouble

_log = logging.getLogger(__name__)

_NAME: Final = 253
"""Of a Kubernetes object's name."""

W = TypeVar("W", Hello, Proof)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """Who was let in."""

    hello: Hello
    version: int
    key: bytes


class Greeter:
    """Ask everybody who comes; *known* reads the secrets that count now."""

    def __init__(
        self, known: Callable[[], Keys], trouble: Trouble, *, patience_s: float = 5.0
    ) -> None:
        self._known = known
        self._trouble = trouble
        self._patience_s = patience_s

    async def greet(self, socket: web.WebSocketResponse, where: str) -> Guest | None:
        """Return who is at the other side of *socket*; None: it was turned away."""
        try:
            async with asyncio.timeout(self._patience_s):
                answer = await self._ask(socket)
                if isinstance(answer, Guest):
                    await socket.send_str(spoken(Welcome()))
                    return answer
                await socket.send_str(spoken(Refused(reason=answer)))
        except TimeoutError:
            self._trouble("late")
            answer = f"it did not end its greeting within {self._patience_s:g} s"
        except (WireError, OSError) as error:
            self._trouble("garbled")
            answer = str(error)
        _log.warning('activator refused address=%s reason="%s"', where, answer)
        return None

    async def _ask(self, socket: web.WebSocketResponse) -> Guest | str:
        """Return who it is, or why it is refused."""
        hello = await _hear(socket, Hello)
        if not (0 < len(hello.name) <= _NAME and hello.name.isprintable()):
            raise WireError(f"name = {hello.name[:40]!r}, must be 1 to {_NAME} letters")
        version = common(hello, OLDEST, NEWEST)
        if isinstance(version, str):
            self._trouble("version")
            return version
        try:
            known = self._known()
        except (OSError, SecretError) as error:
            self._trouble("secret")
            _log.error("secret cannot be read reason=%s", error)
            return "this autoscaler cannot read its secret"
        sent = challenge(known, hello, secrets.token_hex(16), version)
        await socket.send_str(spoken(sent))
        key = accept(known, hello, sent, await _hear(socket, Proof))
        if key is None:
            self._trouble("secret")
            return f"activator {hello.name} does not know this autoscaler's secret"
        return Guest(hello=hello, version=version, key=key)


async def _hear(socket: web.WebSocketResponse, of: type[W]) -> W:
    message = await socket.receive()
    if message.type is not WSMsgType.TEXT:
        raise WireError(f"a greeting has {message.type.name}, must be text")
    return expected(read(message.data, Handshake), of)
