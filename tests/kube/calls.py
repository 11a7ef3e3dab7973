"""One HTTP/1.1 call at a time on a connection, with an exact account of how far it came."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.kube.models import head, predicted, word

LARGEST = 1 << 24


class Outcome(StrEnum):
    """How a request ended; each ends in one way."""

    RIGHT = "right"
    """A complete answer, and the right one."""
    WRONG = "wrong"
    """A complete answer, and not the right one; also any status not named here."""
    BUSY = "busy"
    """429."""
    UNAVAILABLE = "unavailable"
    """503."""
    NOWHERE = "nowhere"
    """The Service had no endpoint: nothing was sent."""
    REFUSED = "refused"
    """No connection came about: nothing was sent."""
    RACED = "raced"
    """Sent on a kept connection that the server closed, before a byte of an answer."""
    BROKEN = "broken"
    """Sent, and no complete answer came."""
    CUT = "cut"
    """A stream that had begun, and did not come to its end."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        return "close" in self.headers.get("connection", "").lower()


Check = Callable[[Reply], str]
"""Says what is wrong with an answer of 200, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent, and how its answer is judged."""

    id: str
    data: bytes
    check: Check
    stream: bool = False


class Unfinished(Exception):  # noqa: N818 - what it is
    """No complete answer came; `got` is what came of it."""

    def __init__(self, why: str, got: bytes) -> None:
        super().__init__(why)
        self.got = got


class Connection:
    """A connection that stays open after an answer."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader, self._writer = reader, writer
        self._got = b""
        self.answers = 0
        """How many came on it, complete."""

    @classmethod
    async def to(cls, address: str, port: int) -> Connection:
        return cls(*await asyncio.open_connection(address, port, limit=LARGEST))

    @property
    def open(self) -> bool:
        """Say whether the other side has not closed it, as far as is known."""
        return not (self._reader.at_eof() or self._writer.is_closing())

    def close(self) -> None:
        self._writer.close()

    async def ask(self, data: bytes) -> Reply:
        """Send a request and return its complete answer, or raise Unfinished."""
        self._got = b""
        try:
            self._writer.write(data)
            await self._writer.drain()
            reply = await self._reply()
        except asyncio.IncompleteReadError as error:
            self._got += error.partial
            raise Unfinished("closed before the end", self._got) from error
        except (OSError, ValueError, asyncio.LimitOverrunError) as error:
            raise Unfinished(f"{type(error).__name__}: {error}", self._got) from error
        except asyncio.CancelledError:
            self.close()
            raise
        self.answers += 1
        return reply

    @property
    def got(self) -> bytes:
        """What came of the present answer."""
        return self._got

    async def _until(self, end: bytes) -> bytes:
        data = await self._reader.readuntil(end)
        self._got += data
        return data

    async def _exactly(self, size: int) -> bytes:
        data = await self._reader.readexactly(size)
        self._got += data
        return data

    async def _reply(self) -> Reply:
        raw = (await self._until(b"\r\n\r\n")).decode("latin-1")
        line, *fields = raw[:-4].split("\r\n")
        pairs = (each.partition(":") for each in fields)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        status = int(line.split(" ")[1])
        if "chunked" not in headers.get("transfer-encoding", ""):
            size = int(headers.get("content-length", 0))
            return Reply(status, headers, await self._exactly(size))
        body = b""
        while size := int((await self._until(b"\r\n")).partition(b";")[0], 16):
            body += (await self._exactly(size + 2))[:-2]
        while await self._until(b"\r\n") != b"\r\n":
            pass
        return Reply(status, headers, body)


def _message(path: str, host: str, request: str, body: Any, **more: str) -> bytes:
    told = {
        "host": host,
        "content-type": "application/json",
        "x-request-id": request,
        **more,
    }
    return head(f"POST {path} HTTP/1.1", told, json.dumps(body).encode())


def _said(reply: Reply, request: str) -> dict[str, Any]:
    """Return the JSON of an answer to *request* that names a pod, or raise."""
    said: dict[str, Any] = json.loads(reply.body)
    if said["id"] != request:
        raise ValueError(f"an answer to {said['id']}")
    if not said["pod"]:
        raise ValueError("an answer of no pod")
    return said


def _judged(look: Callable[[Reply], None]) -> Check:
    def check(reply: Reply) -> str:
        try:
            look(reply)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    return check


def predict(
    model: str, request: str, *, host: str = "", size: int = 500, latency_s: float = 0.0
) -> Request:
    """Return a V1 prediction; its answer has *size* bytes of padding."""
    instances = [len(request), [1, len(request)]]
    body = {"instances": instances, "size": size}
    more = {"x-latency-s": f"{latency_s:g}"} if latency_s else {}

    def look(reply: Reply) -> None:
        said = _said(reply, request)
        if said["predictions"] != [predicted(each) for each in instances]:
            raise ValueError(f"predictions {said['predictions']}")
        if said["padding"] != "x" * size:
            raise ValueError(f"{len(said['padding'])} bytes of padding")

    data = _message(f"/v1/models/{model}:predict", host or model, request, body, **more)
    return Request(id=request, data=data, check=_judged(look))


def infer(
    model: str, request: str, *, host: str = "", latency_s: float = 0.0
) -> Request:
    """Return a V2 inference."""
    values = [len(request), 1]
    tensor = {"name": "in", "shape": [2], "datatype": "FP64", "data": values}
    more = {"x-latency-s": f"{latency_s:g}"} if latency_s else {}

    def look(reply: Reply) -> None:
        said = _said(reply, request)
        (output,) = said["outputs"]
        if output["data"] != [predicted(values)]:
            raise ValueError(f"outputs {said['outputs']}")

    body = {"id": request, "inputs": [tensor]}
    data = _message(f"/v2/models/{model}/infer", host or model, request, body, **more)
    return Request(id=request, data=data, check=_judged(look))


def chat(
    model: str, request: str, *, host: str = "", events: int = 10, gap_s: float = 0.0
) -> Request:
    """Return an OpenAI chat that streams *events* events, *gap_s* apart."""
    body = {"model": model, "stream": True, "n": events, "gap_s": gap_s, "id": request}

    def look(reply: Reply) -> None:
        *told, end = reply.body.decode().removesuffix("\n\n").split("\n\n")
        if end != "data: [DONE]":
            raise ValueError(f"a stream that ends with {end!r}")
        said = [json.loads(each.removeprefix("data: ")) for each in told]
        words = [each["choices"][0]["delta"]["content"] for each in said]
        if words != [word(request, index) for index in range(events)]:
            raise ValueError(f"events {words}")
        if len({each["pod"] for each in said}) != 1:
            raise ValueError("events of more than one pod")

    data = _message("/v1/chat/completions", host or model, request, body)
    return Request(id=request, data=data, check=_judged(look), stream=True)
