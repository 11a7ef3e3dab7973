"""Which connections are kept, and who may go on them."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from activator.core.exchange import Exchange
from activator.core.framing import CHUNKED
from activator.pool import FRESH_S, HOT_S, KEPT, READ_AT_ONCE, Pool


class Line:
    """A connection whose replica may have said something, or hung up."""

    def __init__(self) -> None:
        self.since = 0.0
        self.silent = True
        self.closed = False

    def is_silent(self) -> bool:
        return self.silent and not self.closed

    def close(self) -> None:
        self.closed = True


def once(length: int = 5, *, complete: bool = True) -> Exchange:
    """Return a request that must not be sent twice."""
    exchange = Exchange(b"POST", b"/v1/models/iris:predict")
    exchange.length = length
    exchange.complete = complete
    return exchange


def all_here(size: int) -> Exchange:
    """Return one whose chunks have all come."""
    exchange = once(CHUNKED)
    exchange.body(b"x" * size)
    return exchange


def repeatable() -> Exchange:
    return Exchange(b"GET", b"/")


def pool(*lines: Line, now: float = 0.0) -> Pool[Line]:
    made: Pool[Line] = Pool("127.0.0.1", 1)
    for line in lines:
        made.give(line, now)
    return made


@pytest.mark.parametrize("exchange", [once(), repeatable()])
def test_the_last_that_was_used_is_the_first_that_is_used_again(exchange):
    one, two, three = Line(), Line(), Line()
    kept = pool(one, two, three)

    taken = [kept.take(exchange, 0.5) for _ in range(4)]

    assert taken == [three, two, one, None]


def test_what_must_not_be_sent_twice_goes_on_no_connection_that_has_hung_up():
    open_one, hung_up, spoke = Line(), Line(), Line()
    hung_up.silent = spoke.silent = False
    kept = pool(open_one, hung_up, spoke)

    assert kept.take(once(), 0.5) is open_one
    assert hung_up.closed
    assert spoke.closed
    assert not open_one.closed


def test_a_connection_that_was_used_just_now_is_not_looked_at():
    line = Line()
    line.silent = False

    assert pool(line).take(once(), HOT_S) is line


def test_what_must_not_be_sent_twice_goes_on_no_old_connection():
    old, fresh = Line(), Line()
    kept = pool(old)
    kept.give(fresh, 10.0)

    assert kept.take(once(), 10.0 + FRESH_S) is fresh
    assert kept.take(once(), 10.0 + FRESH_S) is None
    assert old.closed


def test_what_may_be_sent_twice_goes_on_any():
    line = Line()
    line.silent = False

    assert pool(line).take(repeatable(), 29.0) is line


@pytest.mark.parametrize(
    "exchange",
    [
        pytest.param(once(READ_AT_ONCE + 1), id="a long body"),
        pytest.param(all_here(READ_AT_ONCE + 1), id="a long one in chunks"),
        pytest.param(once(CHUNKED, complete=False), id="a body without an end yet"),
    ],
)
def test_what_a_break_would_say_nothing_of_gets_a_connection_of_its_own(exchange):
    line = Line()
    kept = pool(line)

    assert kept.take(exchange, 0.0) is None
    assert not line.closed
    assert kept.take(repeatable(), 0.0) is line


@pytest.mark.parametrize(
    "exchange",
    [
        pytest.param(once(READ_AT_ONCE), id="as long as is read at once"),
        pytest.param(all_here(READ_AT_ONCE), id="as long, in chunks"),
        pytest.param(once(5, complete=False), id="a short one that is still coming"),
        pytest.param(once(CHUNKED), id="chunks that are all here"),
    ],
)
def test_a_short_body_goes_on_a_connection_that_is_kept(exchange):
    line = Line()

    assert pool(line).take(exchange, 0.0) is line


@pytest.mark.parametrize("used", [False, True])
def test_a_replica_that_closes_soon_is_trusted_no_more(used):
    line, next_one = Line(), Line()
    kept = pool(line)
    if used:
        kept.take(repeatable(), 0.1)
        kept.broke(line, 0.2)
    else:
        kept.lost(line, 0.2)
    kept.give(next_one, 5.0)

    assert kept.take(once(), 5.0) is None
    assert next_one.closed


def test_a_replica_that_closes_what_was_long_unused_is_trusted_still():
    line, next_one = Line(), Line()
    kept = pool(line)
    kept.lost(line, 5.0)
    kept.give(next_one, 6.0)

    assert kept.take(once(), 6.0) is next_one


def test_what_was_dropped_is_nobodys():
    line = Line()
    kept = pool(line)

    assert kept.drop(line)
    assert not kept.drop(line)
    assert kept.take(repeatable(), 0.0) is None


class PoolMachine(RuleBasedStateMachine):
    """Connections are kept, taken or closed: one of these, and never two."""

    def __init__(self) -> None:
        super().__init__()
        self.pool: Pool[Line] = Pool("127.0.0.1", 1)
        self.now = 0.0
        self.kept: list[Line] = []
        self.taken: list[Line] = []
        self.over = False

    @rule(seconds=st.floats(0.0, 3.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(count=st.integers(1, 100))
    def open(self, count: int) -> None:
        for _ in range(count):
            self._give(Line())

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        line = data.draw(st.sampled_from(self.taken))
        self.taken.remove(line)
        self._give(line)

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def hang_up(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.kept)).silent = False

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        line = data.draw(st.sampled_from(self.kept))
        self.pool.lost(line, self.now)
        line.close()

    @rule(careful=st.booleans())
    def take(self, careful: bool) -> None:
        line = self.pool.take(once() if careful else repeatable(), self.now)
        if line is not None:
            assert line in self.kept
            assert not line.closed
            hot = self.now - line.since <= HOT_S
            assert line.silent or hot or not careful
            assert self.now - line.since <= FRESH_S or not careful
            self.kept.remove(line)
            self.taken.append(line)

    @rule()
    def close(self) -> None:
        self.pool.close()
        self.over = True

    @invariant()
    def none_is_in_two_places(self) -> None:
        self.kept = [line for line in self.kept if not line.closed]
        assert not any(line.closed for line in self.taken)
        assert len(self.kept) <= KEPT
        assert not (self.over and self.kept)

    def _give(self, line: Line) -> None:
        self.pool.give(line, self.now)
        self.kept.append(line)


TestPool = PoolMachine.TestCase
