from __future__ import annotations

import pytest

from activator.core.exchange import Exchange
from activator.phase import Fate, is_blameless


@pytest.mark.parametrize("fate", Fate)
@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize("kept", [True, False])
def test_only_who_read_nothing_or_may_read_it_twice_gets_it_once_more(
    fate, method, kept
):
    exchange = Exchange(method, b"/")
    exchange.complete = True
    exchange.kept = kept

    expected = kept and (
        fate is Fate.UNREAD or (fate is Fate.STALE and method == b"GET")
    )
    assert is_blameless(fate, exchange) is expected
