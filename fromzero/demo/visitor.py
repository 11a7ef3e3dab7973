"""Somebody who sends the demo's requests and looks whether the answers are right."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientSession

_TOKENS = 24  # Two small cores make a hundred in a second.


class WrongError(Exception):
    """An answer that is not what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A right answer."""

    value: str
    version: str = ""
    held_s: float = 0.0
    """How long it waited for a replica."""


@dataclass(slots=True)
class Visitor:
    """Ask, check, and keep count."""

    session: ClientSession
    """Its base address is the data port."""
    asked: int = 0
    right: int = 0
    problems: list[str] = field(default_factory=list)

    async def classify(self, host: str, model: str, row: Any, expected: str) -> Answer:
        """Ask a classifier over KServe's V1 protocol."""
        path = f"/v1/models/{model}:predict"
        asked = self._classified(host, path, {"instances": [row]}, _prediction)
        return await self._judged(f"{model} over V1", expected, asked)

    async def infer(
        self, host: str, model: str, row: list[float], expected: str
    ) -> Answer:
        """Ask a classifier over KServe's V2 protocol."""
        tensor = {
            "name": "input", "shape": [1, len(row)], "datatype": "FP64", "data": row,
        }  # fmt: skip
        path = f"/v2/models/{model}/infer"
        asked = self._classified(host, path, {"inputs": [tensor]}, _output)
        return await self._judged(f"{model} over V2", expected, asked)

    async def chat(
        self, question: str, expected: str, said: Callable[[str], None]
    ) -> Answer:
        """Ask the language model, streamed; *said* hears each token as it comes."""
        asked = self._chatted(question, said)
        return await self._judged("llm-server", expected, asked)

    async def _judged(self, of: str, expected: str, asked: Awaitable[Answer]) -> Answer:
        self.asked += 1
        try:
            answer = await asked
        except (ClientError, TimeoutError, WrongError, ValueError) as error:
            self.problems.append(f"{of}: {str(error) or type(error).__name__}")
            return Answer(value="")
        if expected.lower() in answer.value.lower():
            self.right += 1
        else:
            self.problems.append(f"{of} said {answer.value!r}, not {expected!r}")
        return answer

    async def _classified(
        self,
        host: str,
        path: str,
        body: dict[str, Any],
        label: Callable[[dict[str, Any]], object],
    ) -> Answer:
        headers = {"Host": host}
        async with self.session.post(path, json=body, headers=headers) as answer:
            text = await answer.text()
            if answer.status != 200:
                raise WrongError(f"{answer.status}: {text}")
            value = json.loads(text)
            return Answer(
                value=str(label(value)),
                version=str(value.get("model_version", "")),
                held_s=_held(answer),
            )

    async def _chatted(self, question: str, said: Callable[[str], None]) -> Answer:
        body = {
            "model": "llm-server",
            "messages": [{"role": "user", "content": question}],
            "max_tokens": _TOKENS,
            "stop": ["\n"],
            "temperature": 0,
            "stream": True,
        }
        text = ""
        async with self.session.post("/v1/chat/completions", json=body) as answer:
            if answer.status != 200:
                raise WrongError(f"{answer.status}: {await answer.text()}")
            async for event in _events(answer):
                if event == "[DONE]":
                    return Answer(value=text, held_s=_held(answer))
                if word := _word(event):
                    text += word
                    said(word)
        raise WrongError(f"it broke off after {text!r}")


def _prediction(of: dict[str, Any]) -> object:
    return _only(of, "predictions")


def _output(of: dict[str, Any]) -> object:
    return _only(_only(of, "outputs"), "data")


def _only(of: Any, name: str) -> Any:
    values = of.get(name) if isinstance(of, dict) else None
    if not isinstance(values, list) or len(values) != 1:
        raise WrongError(f"{name} must have one value: {of}")
    return values[0]


def _held(answer: ClientResponse) -> float:
    """Return the seconds that Server-Timing says of the hold, 0 without one."""
    for each in answer.headers.get("Server-Timing", "").split(","):
        name, _, rest = each.strip().partition(";")
        if name == "hold" and rest.startswith("dur="):
            return float(rest.removeprefix("dur=")) / 1000
    return 0.0


async def _events(answer: ClientResponse) -> AsyncIterator[str]:
    """Yield the data of each server-sent event."""
    async for line in answer.content:
        if line.startswith(b"data:"):
            yield line.removeprefix(b"data:").strip().decode()


def _word(event: str) -> str:
    choices = json.loads(event).get("choices") or [{}]
    return choices[0].get("delta", {}).get("content") or ""
