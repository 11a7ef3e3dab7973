"""The visitor against a server that answers as the test says."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import ClientSession, web

from fromzero.demo.visitor import Visitor


def asked(call, text: str, status: int = 200, **headers: str):
    """Return what *call* of a visitor gives, and the visitor, whatever it asks."""
    seen: list[tuple[str, str, dict]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.host, request.path, await request.json()))
        return web.Response(text=text, status=status, headers=headers)

    async def scene():
        app = web.Application()
        app.router.add_post("/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0]
            async with (
                asyncio.timeout(10),
                ClientSession(f"http://{host}:{port}") as session,
            ):
                visitor = Visitor(session)
                return await call(visitor), visitor, seen
        finally:
            await runner.cleanup()

    return asyncio.run(scene())


def classify(visitor: Visitor):
    return visitor.classify("iris-ns.localhost", "iris", [1.0, 2.0], "setosa")


def infer(visitor: Visitor):
    return visitor.infer("iris-ns.localhost", "iris", [1.0, 2.0], "setosa")


V1 = json.dumps({"predictions": ["setosa"], "model_version": "2"})
V2 = json.dumps(
    {"model_version": "1", "outputs": [{"name": "label", "data": ["setosa"]}]}
)


def event(word: str) -> str:
    return f"data: {json.dumps({'choices': [{'delta': {'content': word}}]})}\n\n"


def test_a_right_answer_over_v1_is_counted_with_its_version_and_hold():
    timing = {"Server-Timing": "hold;dur=1450, other;dur=1"}

    answer, visitor, seen = asked(classify, V1, **timing)

    assert (answer.value, answer.version, answer.held_s) == ("setosa", "2", 1.45)
    assert (visitor.asked, visitor.right, visitor.problems) == (1, 1, [])
    assert seen == [
        ("iris-ns.localhost", "/v1/models/iris:predict", {"instances": [[1.0, 2.0]]})
    ]


def test_a_right_answer_over_v2_is_counted():
    answer, visitor, seen = asked(infer, V2)

    assert (answer.value, answer.version, answer.held_s) == ("setosa", "1", 0.0)
    assert (visitor.right, visitor.problems) == (1, [])
    assert seen[0][2]["inputs"][0]["shape"] == [1, 2]


@pytest.mark.parametrize(
    ("call", "text", "status", "said"),
    [
        pytest.param(
            classify, V1.replace("setosa", "rose"), 200,
            "iris over V1 said 'rose', not 'setosa'", id="another class",
        ),
        pytest.param(infer, "no", 503, "iris over V2: 503: no", id="a refusal"),
        pytest.param(
            classify, "{}", 200, "predictions must have one value", id="no value"
        ),
        pytest.param(classify, "<html>", 200, "Expecting value", id="no JSON"),
    ],
)  # fmt: skip
def test_what_is_not_the_right_answer_is_a_problem(call, text, status, said):
    _, visitor, _ = asked(call, text, status)

    assert (visitor.asked, visitor.right) == (1, 0)
    assert said in visitor.problems[0]


def test_tokens_are_heard_as_they_come_and_judged_together():
    words: list[str] = []
    text = event("Par") + event("is.") + "data: [DONE]\n\n"

    answer, visitor, seen = asked(
        lambda visitor: visitor.chat("Capital?", "paris", words.append), text
    )

    assert words == ["Par", "is."]
    assert answer.value == "Paris."
    assert visitor.right == 1
    assert seen[0][2]["stream"] is True


def test_a_stream_that_breaks_off_is_a_problem():
    _, visitor, _ = asked(
        lambda visitor: visitor.chat("Capital?", "paris", lambda word: None),
        event("Paris"),
    )

    assert visitor.right == 0
    assert "it broke off after 'Paris'" in visitor.problems[0]
