"""The demo's script: what is asked of three models, and what must come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from autoscaler.core.commands import Status
from fromzero.demo.story import Story
from fromzero.demo.visitor import Answer, Visitor

IRIS = "sklearn-iris-production.localhost"
TEXTS = "text-classifier-default.localhost"
FLOWERS = (
    ([5.1, 3.5, 1.4, 0.2], "setosa"),
    ([6.0, 2.7, 4.1, 1.0], "versicolor"),
    ([6.9, 3.1, 5.4, 2.1], "virginica"),
)
SENTENCES = (
    ("bake the bread in a hot oven", "cooking"),
    ("the goalkeeper saved the last shot of the match", "sport"),
    ("rain and a cold wind tonight", "weather"),
)
QUESTIONS = (
    ("What is the capital of France?", "Paris"),
    ("What are the days of the week?", "Wednesday"),
    ("What is the opposite of hot?", "Cold"),
)
LONGEST = QUESTIONS[1]
CHATS = 12  # More than the ten that the document allows a replica.
CANARY_PERCENT = 20
CANARY_REQUESTS = 200
CANARY_SLACK = 8  # Points; three standard deviations of 200 draws are 8.5.
_AT_ONCE = 8


class Models(Protocol):
    """What the script sees of the machine, and does to it."""

    def statuses(self) -> tuple[Status, ...]:
        """Return all revisions."""

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until *true*; whoever plays the script bounds the time."""

    def change_to_canary(self, percent: int) -> None:
        """Change the text classifier's document to version 2, for so many requests."""


@dataclass(frozen=True, slots=True)
class Script:
    """Play it; what is not as it should be goes into the visitor's problems."""

    visitor: Visitor
    story: Story
    models: Models

    async def play(self) -> None:
        """Send every request and wait until all models sleep again."""
        await self.models.until(lambda: bool(self.models.statuses()))
        self.story.title("Three models, and none of them runs.")
        for each in self.models.statuses():
            self.story.tell(each.state, each.key.name, each.reason)
            self._must(not each.ready, f"{each.key} should sleep at first")
        await self._flowers()
        await self._chats()
        await self._versions()
        self.story.title("Nobody asks any more.")
        await self._asleep()

    async def _flowers(self) -> None:
        self.story.title("A request wakes a classifier, over KServe's V1 and V2.")
        for row, kind in FLOWERS:
            answer = await self.visitor.classify(IRIS, "sklearn-iris", row, kind)
            self._answered("sklearn-iris", f"V1: {answer.value}", answer)
        for row, kind in FLOWERS:
            answer = await self.visitor.infer(IRIS, "sklearn-iris", row, kind)
            self._answered("sklearn-iris", f"V2: {answer.value}", answer)

    async def _chats(self) -> None:
        self.story.title("A language model, its answers streamed token by token.")
        for question, expected in QUESTIONS:
            self.story.tell("asked", "llm-server", question)
            word = self.story.words("tokens", "llm-server")
            answer = await self.visitor.chat(question, expected, word)
            self._answered("llm-server", "streamed", answer)
        self.story.title(f"{CHATS} chats at once are too many for one replica.")
        enough = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(CHATS):
                group.create_task(self._chatting(enough))
            await self.models.until(lambda: self._ready("llm-server") >= 2)
            enough.set()
        self.story.tell("answered", "llm-server", f"all chats, {CHATS} at a time")

    async def _chatting(self, enough: asyncio.Event) -> None:
        """Chat, and chat again, until there are *enough* replicas."""
        while True:
            await self.visitor.chat(*LONGEST, lambda word: None)
            if enough.is_set():
                return

    async def _versions(self) -> None:
        self.story.title("A new version gets a fifth of the requests.")
        for text, kind in SENTENCES:
            answer = await self.visitor.classify(TEXTS, "text-classifier", text, kind)
            said = f"version {answer.version}: {answer.value}"
            self._answered("text-classifier", said, answer)
            self._must(answer.version == "1", "version 1 should be all there is")
        self.story.tell(
            "changed", "text-classifier", f"to version 2, for {CANARY_PERCENT} %"
        )
        self.models.change_to_canary(CANARY_PERCENT)
        await self.models.until(lambda: self._ready("text-classifier") >= 2)
        versions = await self._many(CANARY_REQUESTS)
        share = 100 * versions.count("2") / CANARY_REQUESTS
        said = f"{CANARY_REQUESTS} requests, {share:g} % of them by version 2"
        self.story.tell("answered", "text-classifier", said)
        self._must(
            abs(share - CANARY_PERCENT) <= CANARY_SLACK,
            f"version 2 answered {share:g} %, not about {CANARY_PERCENT}",
        )
        self.story.title("Each version sleeps, and wakes, on its own.")
        await self._asleep("text-classifier")
        text, kind = SENTENCES[0]
        answer = await self.visitor.classify(TEXTS, "text-classifier", text, kind)
        said = f"version {answer.version}: {answer.value}"
        self._answered("text-classifier", said, answer)
        self._must(
            self._ready("text-classifier") == 1, "one version should wake, not both"
        )

    async def _many(self, count: int) -> list[str]:
        """Ask *count* times, some at once; return the versions that answered."""
        numbers = iter(range(count))
        versions: list[str] = []

        async def ask() -> None:
            for number in numbers:
                text, kind = SENTENCES[number % len(SENTENCES)]
                answer = await self.visitor.classify(
                    TEXTS, "text-classifier", text, kind
                )
                versions.append(answer.version)

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(ask())
        return versions

    async def _asleep(self, service: str = "") -> None:
        """Wait until every revision of *service* sleeps, or every one there is."""
        await self.models.until(
            lambda: all(
                each.state == "asleep"
                for each in self.models.statuses()
                if each.key.name.startswith(service)
            )
        )

    def _ready(self, service: str) -> int:
        return sum(
            each.ready
            for each in self.models.statuses()
            if each.key.name.startswith(service)
        )

    def _answered(self, of: str, text: str, answer: Answer) -> None:
        if answer.value:
            held = f", held {answer.held_s:.2f} s" if answer.held_s else ""
            self.story.tell("answered", of, f"{text}{held}")

    def _must(self, right: bool, else_said: str) -> None:
        if not right:
            self.visitor.problems.append(else_said)
