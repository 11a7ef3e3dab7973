"""Pages of real servers on loopback, well and badly behaved."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from autoscaler.backends.kubernetes.engines import Reading
from autoscaler.backends.kubernetes.exposition import MOST_BYTES
from autoscaler.backends.kubernetes.pages import Place
from autoscaler.backends.kubernetes.scrape import Pace, Scraper, Target
from autoscaler.core.domain import RevisionKey

KEY = RevisionKey("prod", "iris-predictor")
PAGE = b"vllm:num_requests_running 3\nvllm:num_requests_waiting 1\n"
FAST = Pace(period_s=0.02, limit_s=0.2)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes, status: str = "200 OK", *more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *more, "", ""]
    return "\r\n".join(head).encode() + body


class Heard:
    """What a scraper has said."""

    def __init__(self) -> None:
        self.readings: dict[str, list[Reading]] = {}
        self.whys: dict[str, list[str]] = {}
        self._more = asyncio.Condition()

    def read(self, key: RevisionKey, replica: str, reading: Reading) -> None:
        assert key == KEY
        self.readings.setdefault(replica, []).append(reading)

    def failed(self, key: RevisionKey, replica: str, why: str) -> None:
        assert key == KEY
        self.whys.setdefault(replica, []).append(why)


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110  # Of what others count there is no event.
        await asyncio.sleep(0.001)


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[int]:
    async def guarded(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    own = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield own.sockets[0].getsockname()[1]
    finally:
        own.close()
        await own.wait_closed()


def saying(body: bytes, asked: list[bytes] | None = None) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if asked is not None:
                asked.append(head)
            writer.write(body)
            await writer.drain()

    return serve


@asynccontextmanager
async def scraping(heard: Heard, pace: Pace = FAST) -> AsyncIterator[Scraper]:
    scraper = Scraper(heard, pace=pace)
    task = asyncio.get_running_loop().create_task(scraper.run())
    try:
        yield scraper
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])


def at(*ports: int, replica: str = "a", path: str = "/metrics") -> Target:
    places = tuple(Place(port, path) for port in ports)
    return Target(KEY, replica, "127.0.0.1", places)


def test_a_page_is_read_again_and_again():
    async def scene() -> None:
        heard, asked = Heard(), []
        async with (
            asyncio.timeout(10),
            server(saying(answer(PAGE), asked)) as port,
            scraping(heard) as scraper,
        ):
            scraper.want(KEY, {"a": at(port)})
            await until(lambda: len(heard.readings.get("a", [])) >= 3)
        assert heard.readings["a"][0] == Reading(
            engine="vLLM", busy=4.0, seconds=0.0, ended=0.0
        )
        assert asked[0].startswith(b"GET /metrics HTTP/1.1\r\n")
        assert b"gzip" not in asked[0]
        assert heard.whys == {}

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        pytest.param(
            answer(b"", "404 Not Found"), "status 404, must be 200", id="not there"
        ),
        pytest.param(
            answer(b"", "302 Found", "Location: http://127.0.0.1:1/secret"),
            "status 302",
            id="a redirect is not followed",
        ),
        pytest.param(answer(b"x 1\n"), "any engine that is known", id="of no engine"),
        pytest.param(
            answer(gzip.compress(PAGE), "200 OK", "Content-Encoding: gzip"),
            "any engine that is known",
            id="packed, which nobody asked for",
        ),
        pytest.param(
            answer(b"x" * (MOST_BYTES + 1)), "longer than 4 MiB", id="too long"
        ),
        pytest.param(b"\x00\xff\xfe garbage\r\n\r\n", "port", id="no HTTP at all"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "port", id="an endless head"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "port",
            id="chunks of no size",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n", "no answer within 0.2 s", id="half a head"
        ),
        pytest.param(b"", "no answer within 0.2 s", id="silence"),
    ],
)
def test_what_is_no_page_is_said_and_holds_up_no_other(reply, why):
    async def scene() -> None:
        heard = Heard()
        async with (
            asyncio.timeout(20),
            server(saying(reply)) as bad,
            server(saying(answer(PAGE))) as good,
            scraping(heard) as scraper,
        ):
            scraper.want(
                KEY, {"bad": at(bad, replica="bad"), "good": at(good, replica="good")}
            )
            await until(lambda: "bad" in heard.whys)
            before = len(heard.readings.get("good", []))
            await until(lambda: len(heard.readings.get("good", [])) >= before + 2)
        assert why in heard.whys["bad"][0]
        assert f"port {bad}, /metrics" in heard.whys["bad"][0]
        assert "bad" not in heard.readings

    asyncio.run(scene())


def test_a_page_is_looked_for_at_all_places_and_then_asked_for_only_there():
    async def scene() -> None:
        heard, elsewhere = Heard(), []
        async with (
            asyncio.timeout(10),
            server(saying(answer(b"", "404 Not Found"), elsewhere)) as wrong,
            server(saying(answer(PAGE))) as right,
            scraping(heard) as scraper,
        ):
            scraper.want(KEY, {"a": at(wrong, right)})
            await until(lambda: len(heard.readings.get("a", [])) >= 4)
        assert len(elsewhere) == 1

    asyncio.run(scene())


def test_a_page_that_was_there_is_asked_for_there_before_it_is_looked_for_elsewhere():
    async def scene() -> None:
        heard, elsewhere, down = Heard(), [], [False]

        async def serve(reader, writer):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer(b"", "500 Oh") if down[0] else answer(PAGE))
                await writer.drain()

        async with (
            asyncio.timeout(10),
            server(serve) as own,
            server(saying(answer(b"", "404 Not Found"), elsewhere)) as other,
            scraping(heard) as scraper,
        ):
            scraper.want(KEY, {"a": at(own, other)})
            await until(lambda: "a" in heard.readings)
            down[0] = True
            await until(lambda: bool(elsewhere))
            assert len(heard.whys["a"]) >= 3
            assert all("status 500" in why for why in heard.whys["a"][:3])
            down[0] = False
            before = len(heard.readings["a"])
            await until(lambda: len(heard.readings["a"]) > before)

    asyncio.run(scene())


def test_pages_that_are_not_there_are_looked_for_ever_more_seldom():
    async def scene() -> None:
        heard, asked = Heard(), []
        times: list[float] = []
        loop = asyncio.get_running_loop()

        async def serve(reader, writer):
            while True:
                asked.append(await reader.readuntil(b"\r\n\r\n"))
                times.append(loop.time())
                writer.write(answer(b"", "404 Not Found"))
                await writer.drain()

        async with (
            asyncio.timeout(20),
            server(serve) as port,
            scraping(heard) as scraper,
        ):
            scraper.want(KEY, {"a": at(port)})
            await until(lambda: len(times) >= 5)
        gaps = [later - sooner for sooner, later in pairwise(times)]
        assert gaps[3] > 2 * gaps[0]

    asyncio.run(scene())


def test_no_more_are_asked_at_once_than_agreed_and_none_twice():
    async def scene() -> None:
        heard, now, most = Heard(), [0], [0]

        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            now[0] += 1
            most[0] = max(most[0], now[0])
            try:
                await asyncio.sleep(0.03)
                writer.write(answer(PAGE, "200 OK", "Connection: close"))
                await writer.drain()
            finally:
                now[0] -= 1

        pace = Pace(at_once=3, period_s=0.01, limit_s=5.0)
        async with (
            asyncio.timeout(20),
            server(serve) as port,
            scraping(heard, pace) as scraper,
        ):
            scraper.want(KEY, {str(n): at(port, replica=str(n)) for n in range(12)})
            await until(
                lambda: all(len(heard.readings.get(str(n), [])) >= 2 for n in range(12))
            )
            assert scraper._queue.qsize() <= 12
        assert most[0] == 3

    asyncio.run(scene())


def test_a_replica_that_went_is_asked_no_more_and_its_late_answer_is_dropped():
    async def scene() -> None:
        heard, asked, go = Heard(), asyncio.Event(), asyncio.Event()

        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await go.wait()
            writer.write(answer(PAGE))
            await writer.drain()

        async with (
            asyncio.timeout(10),
            server(serve) as slow,
            server(saying(answer(PAGE))) as port,
            scraping(heard) as scraper,
        ):
            scraper.want(KEY, {"a": at(slow)})
            await asked.wait()
            scraper.want(KEY, {"b": at(port, replica="b")})
            go.set()
            await until(lambda: len(heard.readings.get("b", [])) >= 5)
        assert "a" not in heard.readings
        assert "a" not in heard.whys

    asyncio.run(scene())


def test_a_refused_connection_says_so():
    async def scene() -> None:
        heard = Heard()
        async with asyncio.timeout(10), server(saying(b"")) as port:
            pass
        async with asyncio.timeout(10), scraping(heard) as scraper:
            scraper.want(
                KEY, {"a": at(port), "b": Target(KEY, "b", "no host", (Place(1, "/"),))}
            )
            await until(lambda: len(heard.whys) == 2)
        assert f"port {port}" in heard.whys["a"][0]

    asyncio.run(scene())
