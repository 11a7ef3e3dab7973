"""Whatever breaks: the sink equals the server, and nothing is told backwards."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes import reading
from autoscaler.backends.kubernetes.api import Api, ApiError
from autoscaler.backends.kubernetes.reflector import Reflector, Source
from autoscaler.clock import monotonic
from tests.autoscaler.backends.kubernetes.troubled import (
    LIMIT_S,
    Trouble,
    going_on,
    listing,
    road,
    watching,
)
from tests.autoscaler.backends.kubernetes.virtual import now, virtually

PATH = "/api/v1/namespaces/prod/configmaps"


class Mirror:
    """A sink that checks that time only goes on."""

    def __init__(self) -> None:
        self.items: dict[str, int] = {}
        self.heard: list[tuple[str, str]] = []
        self.newest: dict[str, int] = {}
        self.fulls = 0

    def replaced(self, items) -> None:
        self.fulls += 1
        for name, version in items.items():
            self._forward(name, version, again=True)
        self.items = dict(items)

    def changed(self, name, item) -> None:
        self._forward(name, item, again=False)
        self.items[name] = item
        self.heard.append(("changed", name))

    def gone(self, name) -> None:
        assert name in self.items
        del self.items[name]
        self.heard.append(("gone", name))

    def _forward(self, name, version, *, again) -> None:
        before = self.newest.get(name, 0)
        assert version > before or (again and version == before)
        self.newest[name] = version


class Patient(Mirror):
    """Told that an object is gone of which it never heard."""

    def gone(self, name) -> None:
        if name in self.items:
            super().gone(name)


def version_of(raw) -> int:
    return int(reading.meta(raw).resource_version)


class Server:
    """One list of an API server, in memory, with a memory that is cut short."""

    def __init__(self) -> None:
        self.version = 10
        self.objects: dict[str, int] = {}
        self.log: list[tuple[int, str, str]] = []
        self.since = 0
        self.dropped = 0
        self.troubles: list[str] = []
        self.absent = False
        self.lists: list[float] = []
        self.watches: list[float] = []
        self.news = asyncio.Event()
        self.cut = 0

    def put(self, name: str) -> None:
        kind = "MODIFIED" if name in self.objects else "ADDED"
        self._step(kind, name)
        self.objects[name] = self.version

    def delete(self, name: str) -> None:
        if self.objects.pop(name, None) is not None:
            self._step("DELETED", name)

    def compact(self) -> None:
        self.since = self.version
        self.dropped = self.log[-1][0] if self.log else self.dropped
        self.log = []

    def break_off(self) -> None:
        self.cut += 1
        self._tell()

    def _step(self, kind: str, name: str) -> None:
        self.version += 1
        self.log.append((self.version, kind, name))
        self._tell()

    def _tell(self) -> None:
        news, self.news = self.news, asyncio.Event()
        news.set()

    def _trouble(self, at: str) -> None:
        if self.absent:
            raise ApiError(404, "NotFound", "no such kind")
        if self.troubles and self.troubles[0].startswith(at):
            said = self.troubles.pop(0).split("-")[1]
            if said != "end":
                raise ApiError(int(said), "Trouble", "as wanted")

    async def pages(self, path: str, **query):
        self.lists.append(now())
        self._trouble("list")
        names, version = sorted(self.objects), self.version
        copy = dict(self.objects)
        for begin in range(0, max(len(names), 1), 2):
            if begin:
                await asyncio.sleep(0.01)
                self._trouble("more")
                if self.since > version:
                    raise ApiError(410, "Expired", "the continue token is too old")
            yield {
                "metadata": {"resourceVersion": str(version)},
                "items": [raw(each, copy[each]) for each in names[begin : begin + 2]],
            }

    @asynccontextmanager
    async def watch(self, path: str, version: str, timeout_s: int, **query):
        self.watches.append(now())
        self._trouble("open")
        if int(version) > self.version:
            raise ApiError(504, "Timeout", "Too large resource version")
        if int(version) < self.since:
            raise ApiError(410, "Expired", "too old resource version")
        yield self._events(int(version), now() + timeout_s)

    async def _events(self, version: int, until: float):
        cut = self.cut
        if self.troubles and self.troubles[0].startswith("watch"):
            self._trouble("watch")
            return
        told = version
        while True:
            if told < self.dropped:
                raise ApiError(410, "Expired", "too slow")
            for at, kind, name in list(self.log):
                if at > told:
                    told = at
                    yield {"type": kind, "object": raw(name, at)}
            if self.cut > cut:
                raise ApiError(0, "Unreachable", "broke off")
            try:
                async with asyncio.timeout_at(min(until, now() + 60.0)):
                    await self.news.wait()
            except TimeoutError:
                if now() >= until:
                    return
                mark = {"resourceVersion": str(self.version)}
                yield {"type": "BOOKMARK", "object": {"metadata": mark}}


def raw(name: str, version: int) -> dict:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def reflector(server, sink, **options) -> Reflector[int]:
    source = Source(**{"path": PATH, "read": version_of, **options})
    return Reflector(server, source, sink, lambda: 0.5, now)


@asynccontextmanager
async def reflecting(its: Reflector[int]):
    async with asyncio.TaskGroup() as group:
        task = group.create_task(its.run())
        yield its
        task.cancel()


STEPS = st.one_of(
    st.tuples(st.sampled_from(["put", "delete"]), st.sampled_from("abcdefg")),
    st.tuples(st.just("wait"), st.sampled_from(["0.005", "0.5", "20", "700"])),
    st.tuples(st.sampled_from(["compact", "break_off"]), st.none()),
    st.tuples(
        st.just("trouble"),
        st.sampled_from(
            [
                "list-0", "list-410", "list-429", "list-500", "list-403", "list-404",
                "more-0", "more-410", "more-500",
                "open-0", "open-410", "open-429", "open-404", "open-503",
                "watch-0", "watch-410", "watch-500", "watch-end",
            ]
        ),
    ),
)  # fmt: skip


@given(st.lists(STEPS, max_size=40))
@example([("put", "a"), ("trouble", "open-404"), ("wait", "20"), ("put", "b")])
@example(
    [("put", "a"), ("put", "b"), ("put", "c"), ("wait", "0.005"), ("compact", None)]
)
def test_after_all_troubles_the_sink_equals_the_server(steps):
    async def scene():
        server, sink = Server(), Mirror()
        async with reflecting(reflector(server, sink)) as its:
            for what, of in steps:
                if what == "wait":
                    await asyncio.sleep(float(of))
                elif what == "trouble":
                    server.troubles.append(of)
                else:
                    getattr(server, what)(*([of] if of else []))
            server.put("last")
            server.troubles = []
            await asyncio.sleep(120.0)

            assert sink.items == server.objects
            assert its.synced
            assert its.failing == ""

    virtually(scene)


def test_the_place_in_the_watch_is_kept_when_only_the_line_broke():
    async def scene():
        server, sink = Server(), Mirror()
        server.put("a")
        async with reflecting(reflector(server, sink)):
            await asyncio.sleep(10.0)
            server.break_off()
            server.put("a")
            server.put("b")
            await asyncio.sleep(10.0)

            assert len(server.lists) == 1
            assert sink.heard == [("changed", "a"), ("changed", "b")]

    virtually(scene)


def test_bookmarks_keep_the_place_of_a_list_where_nothing_happens():
    async def scene():
        server, sink = Server(), Mirror()
        async with reflecting(reflector(server, sink)):
            await asyncio.sleep(1.0)
            server.version += 100  # Of other lists.
            await asyncio.sleep(100.0)
            server.since = server.version - 1
            server.break_off()
            await asyncio.sleep(10.0)

            assert len(server.lists) == 1

    virtually(scene)


def test_nothing_is_told_before_a_list_is_whole():
    async def scene():
        server, sink = Server(), Mirror()
        for name in "abc":
            server.put(name)
        server.troubles = ["more-0", "more-410"]
        async with reflecting(reflector(server, sink)):
            await asyncio.sleep(10.0)

            assert len(server.lists) == 3
            assert sink.fulls == 1
            assert sorted(sink.items) == ["a", "b", "c"]

    virtually(scene)


@pytest.mark.parametrize("trouble", ["list-500", "open-410", "watch-410", "watch-end"])
def test_a_server_that_is_ill_is_asked_ever_more_seldom(trouble):
    async def scene():
        server, sink = Server(), Mirror()
        server.troubles = [trouble] * 10_000
        async with reflecting(reflector(server, sink)):
            await asyncio.sleep(600.0)

            asked = len(server.lists) + len(server.watches)
            assert 20 <= asked <= 250
            server.troubles = []
            server.put("a")
            await asyncio.sleep(35.0)
            assert "a" in sink.items

    virtually(scene)


def test_a_server_that_asks_to_wait_is_not_asked_sooner():
    async def scene():
        server, sink = Server(), Mirror()
        error = ApiError(429, "TooManyRequests", "later", 17.0)

        async def pages(path, **query):
            server.lists.append(now())
            raise error
            yield {}

        server.pages = pages  # type: ignore[method-assign]
        async with reflecting(reflector(server, sink)) as its:
            await asyncio.sleep(60.0)

            gaps = [b - a for a, b in zip(server.lists, server.lists[1:], strict=False)]
            assert min(gaps) >= 17.0
            assert "429" in its.failing
            assert not its.synced

    virtually(scene)


def test_a_kind_that_is_not_there_is_empty_and_no_news(caplog):
    caplog.set_level(logging.INFO)

    async def scene():
        server, sink = Server(), Mirror()
        server.absent = True
        server.put("a")
        async with reflecting(reflector(server, sink)) as its:
            await asyncio.sleep(0.001)
            assert (its.synced, sink.items, its.failing) == (True, {}, "")
            await asyncio.sleep(600.0)
            assert len(server.lists) <= 12
            assert caplog.records == []

            server.absent = False
            await asyncio.sleep(120.0)
            assert sink.items == server.objects

    virtually(scene)


def test_a_kind_that_was_there_must_be_absent_for_a_while_to_be_believed():
    async def scene():
        server, sink = Server(), Mirror()
        server.put("a")
        async with reflecting(reflector(server, sink)):
            await asyncio.sleep(1.0)
            server.troubles = ["open-404", "list-404"]
            server.break_off()
            await asyncio.sleep(10.0)
            assert (server.troubles, sink.fulls) == ([], 2)
            assert sink.items == server.objects

            server.absent = True
            server.break_off()
            await asyncio.sleep(25.0)
            assert sink.items == server.objects
            await asyncio.sleep(20.0)
            assert sink.items == {}

    virtually(scene)


def test_doubts_begin_anew_where_a_kind_was_there_in_between():
    async def scene():
        server, sink = Server(), Mirror()
        server.put("a")
        async with reflecting(reflector(server, sink)) as its:
            await asyncio.sleep(1.0)
            for _ in range(5):
                server.absent = True
                server.break_off()
                await asyncio.sleep(20.0)
                assert its.failing
                server.absent = False
                await asyncio.sleep(20.0)
                assert (its.failing, sink.items) == ("", server.objects)

    virtually(scene)


def picky(raw) -> int:
    if raw["metadata"]["name"] == "bad":
        raise RecursionError("too deep")
    return version_of(raw)


def test_an_object_that_cannot_be_read_is_skipped_told_of_once_and_no_others_matter(
    caplog,
):
    async def scene():
        server, sink = Server(), Patient()
        for name in ("bad", "good"):
            server.put(name)
        its = reflector(server, sink, read=picky)
        async with reflecting(its):
            await asyncio.sleep(1.0)
            for name in ("bad", "late", "bad"):
                server.put(name)
            await asyncio.sleep(1.0)
            assert sorted(sink.items) == ["good", "late"]
            assert its.synced
            assert its.skipped == {"bad": "RecursionError: too deep"}

            server.delete("bad")
            await asyncio.sleep(1.0)
            assert its.skipped == {}

    virtually(scene)

    (said,) = [each.getMessage() for each in caplog.records]
    assert said == f"object skipped path={PATH} name=bad"


def test_an_object_that_cannot_be_read_any_more_is_gone():
    async def scene():
        server, sink = Server(), Mirror()
        server.put("a")
        versions = []

        def once(raw) -> int:
            versions.append(version_of(raw))
            return versions[-1] if len(versions) == 1 else 1 // 0

        its = reflector(server, sink, read=once)
        async with reflecting(its):
            await asyncio.sleep(1.0)
            assert sink.items == server.objects
            server.put("a")
            await asyncio.sleep(1.0)
            assert sink.items == {}
            assert list(its.skipped) == ["a"]

    virtually(scene)


def test_only_some_of_what_cannot_be_read_is_kept():
    async def scene():
        server, sink = Server(), Mirror()
        for number in range(200):
            server.put(f"m{number}")

        def never(raw) -> int:
            raise ValueError("x" * 10_000)

        its = reflector(server, sink, read=never)
        async with reflecting(its):
            await asyncio.sleep(10.0)
            assert len(its.skipped) == 20
            assert max(map(len, its.skipped.values())) <= 200

    virtually(scene)


def test_what_fails_is_said_once_and_that_it_is_well_again_too(caplog):
    caplog.set_level(logging.INFO)

    async def scene():
        server, sink = Server(), Mirror()
        server.troubles = ["list-500"] * 5
        async with reflecting(reflector(server, sink)) as its:
            await asyncio.sleep(0.1)
            assert its.failing == "500 Trouble: as wanted"
            await asyncio.sleep(60.0)
            assert its.failing == ""

    virtually(scene)

    assert [each.levelname for each in caplog.records] == ["WARNING", "INFO"]


def test_an_event_without_a_version_is_distrusted_and_all_is_listed_again():
    async def scene():
        server, sink = Server(), Mirror()
        server.put("a")

        async def events(version, until):
            yield {"type": "ADDED", "object": {"metadata": {"name": "b"}}}

        server._events, true = events, server._events  # type: ignore[method-assign]
        async with reflecting(reflector(server, sink)):
            await asyncio.sleep(0.01)
            server._events = true  # type: ignore[method-assign]
            await asyncio.sleep(10.0)

            assert sink.items == server.objects
            assert len(server.lists) == 2

    virtually(scene)


def test_what_a_sink_raises_is_not_taken_for_the_servers():
    class Faulty(Mirror):
        def changed(self, name, item) -> None:
            raise OSError("of the sink's own")

    async def scene():
        server = Server()
        its = reflector(server, Faulty())
        async with asyncio.TaskGroup() as group:
            group.create_task(its.run())
            await asyncio.sleep(1.0)
            server.put("a")

    with pytest.raises(ExceptionGroup) as caught:
        virtually(scene)

    assert caught.group_contains(OSError, match="of the sink's own")


def bounded(scene) -> None:
    async def within():
        async with asyncio.timeout(LIMIT_S):
            await scene()

    asyncio.run(within())


def really(api: Api, space: str, sink: Mirror) -> Reflector[int]:
    source = Source(path=f"/api/v1/namespaces/{space}/configmaps", read=version_of)
    return Reflector(api, source, sink, lambda: 0.0, monotonic)


async def equal(api: Api, its: Reflector[int], sink: Mirror) -> None:
    """Wait until *sink* has what the server has; the test's time limit ends it."""
    path = its._source.path
    while True:
        items = [raw async for page in api.pages(path) for raw in page["items"]]
        if {each["metadata"]["name"]: version_of(each) for each in items} == sink.items:
            return
        await asyncio.sleep(0.02)


async def until(true) -> None:
    for _ in range(3000):
        if true():
            return
        await asyncio.sleep(0.02)


TROUBLES = [
    pytest.param([], id="none"),
    pytest.param([Trouble(cut=40, only=listing)], id="the first list cut"),
    pytest.param([Trouble(cut=700, only=watching)] * 3, id="watches cut in a line"),
    pytest.param(
        [Trouble(status=410, only=going_on)] * 2, id="continue tokens that expired"
    ),
    pytest.param([Trouble(cut=300, only=going_on)], id="a list broken in its middle"),
    pytest.param(
        [Trouble(status=410, only=watching), Trouble(status=500, only=listing)],
        id="too old, then ill",
    ),
    pytest.param(
        [
            Trouble(status=429, headers={"Retry-After": "1"}, only=listing),
            Trouble(status=429, headers={"Retry-After": "1"}, only=watching),
        ],
        id="too many requests",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("troubles", TROUBLES)
def test_of_a_real_server_the_sink_has_all_whatever_is_on_the_way(
    cluster, space, troubles, monkeypatch
):
    monkeypatch.setattr("autoscaler.backends.kubernetes.api._PAGE", 5)

    async def scene():
        path = f"/api/v1/namespaces/{space}/configmaps"
        sink = Mirror()
        async with (
            Api.at(cluster.url, cluster.admin.token, cluster.ca) as direct,
            road(cluster.url, cluster.admin.token, str(cluster.ca)) as way,
            way.api() as api,
        ):
            for number in range(12):
                await direct.create(path, {"metadata": {"name": f"m{number}"}})
            way.troubles += troubles
            its = really(api, space, sink)
            async with reflecting(its):
                for number in range(12):
                    await direct.patch(f"{path}/m{number}", {"data": {"x": "y" * 99}})
                for number in range(0, 12, 3):
                    await direct.delete(f"{path}/m{number}")
                await equal(direct, its, sink)
                way.cut_all()
                await direct.create(path, {"metadata": {"name": "late"}})
                await equal(direct, its, sink)

        assert not way.troubles
        assert "late" in sink.items

    bounded(scene)


@pytest.mark.slow
def test_a_while_without_a_server_is_caught_up_with(cluster, space):
    async def scene():
        path = f"/api/v1/namespaces/{space}/configmaps"
        sink = Mirror()
        async with (
            Api.at(cluster.url, cluster.admin.token, cluster.ca) as direct,
            road(cluster.url, cluster.admin.token, str(cluster.ca)) as way,
            way.api() as api,
        ):
            its = really(api, space, sink)
            async with reflecting(its):
                await equal(direct, its, sink)
                way.closed = True
                way.cut_all()
                await direct.create(path, {"metadata": {"name": "a"}})
                await until(lambda: its.failing)
                way.closed = False
                await equal(direct, its, sink)
                await until(lambda: not its.failing)

        assert sink.fulls == 1

    bounded(scene)
