"""The script against models whose answers the test gives."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace

from aiohttp import ClientSession, web

from autoscaler.core.commands import Status
from autoscaler.core.domain import RevisionKey
from fromzero.demo import script
from fromzero.demo.script import CHATS, FLOWERS, QUESTIONS, SENTENCES, Script
from fromzero.demo.story import Story
from fromzero.demo.visitor import Visitor
from tests.fakes.known import ASLEEP

IRIS = RevisionKey("production", "sklearn-iris-predictor-00001")
LLM = RevisionKey("default", "llm-server-predictor-00001")
ONE = RevisionKey("default", "text-classifier-predictor-00001")
TWO = RevisionKey("default", "text-classifier-predictor-00002")


class Models:
    """Models that know every answer; `second` of the texts go to version 2."""

    def __init__(self, second: float = 0.2, both_wake: bool = False) -> None:
        self.ready = {IRIS: 0, LLM: 0, ONE: 0}
        self.changed = 0
        self._second = second
        self._both_wake = both_wake
        self._texts = 0
        # What comes true each time that the script waits for something.
        self._next = iter(
            (
                {},
                {LLM: 2},
                {ONE: 1, TWO: 1},
                {ONE: 0, TWO: 0},
                dict.fromkeys(self.ready, 0),
            )
        )

    def statuses(self) -> tuple[Status, ...]:
        return tuple(
            replace(ASLEEP, key=key, ready=ready, state="ready" if ready else "asleep")
            for key, ready in self.ready.items()
        )

    async def until(self, true) -> None:
        self.ready |= next(self._next)
        if not true():
            self.ready = dict.fromkeys(self.ready, 0)
        assert true()

    def change_to_canary(self, percent: int) -> None:
        self.changed = percent

    async def answer(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if "messages" in asked:
            question = asked["messages"][0]["content"]
            return web.Response(text=self._chat(dict(QUESTIONS)[question]))
        if "inputs" in asked:
            kind = _kind(asked["inputs"][0]["data"])
            return web.json_response({"outputs": [{"data": [kind]}]})
        row = asked["instances"][0]
        version, kind = "1", _kind(row)
        if isinstance(row, str):
            version = self._version()
        return web.json_response({"predictions": [kind], "model_version": version})

    def _version(self) -> str:
        if not self.changed:
            return "1"
        self._texts += 1
        if not self.ready[ONE]:
            self.ready |= {ONE: 1, TWO: int(self._both_wake)}
        step = int(self._texts * self._second) > int((self._texts - 1) * self._second)
        return "2" if step else "1"

    @staticmethod
    def _chat(text: str) -> str:
        event = {"choices": [{"delta": {"content": f" {text}."}}]}
        return f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n"


def _kind(row: object) -> str:
    known = [*FLOWERS, *SENTENCES]
    return next(kind for each, kind in known if each == row)


def played(models: Models) -> tuple[Visitor, str]:
    """Return the visitor after the script, and the story."""
    out = io.StringIO()

    async def scene() -> Visitor:
        app = web.Application()
        app.router.add_post("/{path:.*}", models.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0]
            async with (
                asyncio.timeout(20),
                ClientSession(f"http://{host}:{port}") as session,
            ):
                visitor = Visitor(session)
                await Script(visitor, Story(out), models).play()
                return visitor
        finally:
            await runner.cleanup()

    return asyncio.run(scene()), out.getvalue()


def test_all_is_asked_and_all_is_right():
    visitor, story = played(Models())

    assert visitor.problems == []
    assert visitor.asked == visitor.right
    chats = len(QUESTIONS) + CHATS
    texts = len(SENTENCES) + script.CANARY_REQUESTS + 1
    assert visitor.asked >= 2 * len(FLOWERS) + chats + texts
    assert "200 requests, 20 % of them by version 2" in story


def test_a_share_of_version_2_too_far_from_what_was_asked_is_a_problem():
    visitor, _ = played(Models(second=0.3))

    assert visitor.problems == ["version 2 answered 30 %, not about 20"]


def test_two_versions_that_wake_for_one_request_are_a_problem():
    visitor, _ = played(Models(both_wake=True))

    assert visitor.problems == ["one version should wake, not both"]


def test_a_model_that_is_awake_before_anybody_asked_is_a_problem():
    models = Models()
    models.ready[IRIS] = 1

    visitor, _ = played(models)

    assert visitor.problems == [f"{IRIS} should sleep at first"]
