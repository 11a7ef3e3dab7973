"""Each line is written whole, once and in order, or is counted as dropped."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from activator.access_log import MOST, AccessLog
from activator.core.entry import asked_by
from autoscaler.core.domain import RevisionKey


@dataclass
class Taker:
    """A sink that takes as much of each write as it is told."""

    takes: list[int | OSError] = field(default_factory=list)
    taken: bytes = b""
    closed: bool = False
    reopened: int = 0

    def put(self, data: bytes) -> int:
        takes = self.takes.pop(0) if self.takes else len(data)
        if isinstance(takes, OSError):
            raise takes
        self.taken += data[:takes]
        return min(takes, len(data))

    def reopen(self) -> None:
        self.reopened += 1

    def close(self) -> None:
        self.closed = True


def log(sink: Taker, *, json: bool = True, wall: float = 1_000_000_000.5) -> AccessLog:
    return AccessLog(sink, lambda: 100.0, lambda: wall, json=json)


def say(to: AccessLog, target: bytes, now: float = 100.0) -> None:
    exchange = asked_by(b"GET %b HTTP/1.1\r\n" % target)
    to.refused(b"::1", exchange, 200, now)


@given(
    st.lists(
        st.integers(1, 400)
        | st.sampled_from([OSError("full"), OSError("gone")])
        | st.just(1 << 30),
        max_size=30,
    ),
    st.lists(st.integers(0, 3), min_size=1, max_size=30),
)
def test_lines_that_were_written_and_dropped_are_all(takes, batches):
    sink = Taker(list(takes))
    to = log(sink)
    said = 0
    for batch in batches:
        for _ in range(batch):
            say(to, b"/%d" % said)
            said += 1
        to.tick()
    to.close()

    lines = sink.taken.split(b"\n")
    whole = [line for line in lines if line.startswith(b"{") and line.endswith(b"}")]
    numbers = [int(json.loads(line)["target"][1:]) for line in whole]
    assert numbers == sorted(set(numbers))
    assert len(whole) + to.dropped == said
    assert sink.closed


def test_what_nobody_reads_is_bounded_and_counted():
    sink = Taker([0] * 1_000_000)
    to = log(sink)

    said = 0
    while not to.dropped:
        say(to, b"/%b" % (b"a" * 1000))
        said += 1
    for _ in range(10):
        say(to, b"/b")
        said += 1
    sink.takes.clear()
    to.flush()

    assert MOST <= len(sink.taken) < MOST + 10_000
    assert sink.taken.count(b"\n") + to.dropped == said
    say(to, b"/again")
    to.flush()
    assert b'"/again"' in sink.taken


def test_many_lines_are_one_write():
    sink = Taker()
    to = log(sink)

    writes = 0
    for number in range(200):
        before = sink.taken
        say(to, b"/%d" % number)
        writes += sink.taken != before

    assert 1 <= writes <= 10


def test_a_full_disk_is_said_once_until_it_is_over(caplog):
    sink = Taker([OSError("no space"), OSError("no space"), 1 << 30, OSError("again")])
    to = log(sink)

    for number in range(4):
        say(to, b"/%d" % number)
        to.flush()

    assert [each.getMessage() for each in caplog.records] == [
        "access log not written: no space",
        "access log not written: again",
    ]
    assert to.dropped == 3
    assert b'"/2"' in sink.taken


def test_times_are_those_of_the_wall():
    sink = Taker()
    to = log(sink)
    say(to, b"/a", 100.25)
    say(to, b"/b", 101.0)
    to.flush()
    lines = [json.loads(line) for line in sink.taken.splitlines()]
    assert [line["time"] for line in lines] == [
        "2001-09-09T01:46:40.750Z",
        "2001-09-09T01:46:41.500Z",
    ]

    sink = Taker()
    to = log(sink, json=False)
    say(to, b"/a")
    to.flush()
    assert b"[09/Sep/2001:01:46:40 +0000]" in sink.taken


def test_a_clock_that_is_set_is_followed():
    sink, wall = Taker(), 1_000_000_000.0
    to = AccessLog(sink, lambda: 100.0, lambda: wall, json=True)
    wall += 3600.0

    to.tick()
    say(to, b"/a")
    to.flush()

    assert json.loads(sink.taken)["time"] == "2001-09-09T02:46:40.000Z"


def test_what_was_said_before_goes_to_the_old_file():
    sink = Taker()
    to = log(sink)
    say(to, b"/a")

    to.reopen()

    assert sink.taken
    assert sink.reopened == 1


def test_a_revision_is_named_however_many_there_are():
    to = log(Taker())
    for number in range(10_000):
        key = RevisionKey("ns", f"iris-{number}")
        assert (
            to.whose(key)
            == to.whose(key)
            == b'"namespace":"ns","revision":"iris-%d"' % number
        )
