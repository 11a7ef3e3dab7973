"""What is passed on before the last answer."""

from __future__ import annotations

import pytest

from activator.core.framing import Fault
from activator.core.interim import interim


def test_early_hints_pass_and_100_is_ours_to_say():
    link = [(b"Link", b"</a>"), (b"Connection", b"close")]
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

    assert interim(103, link, old=False) == hints
    assert interim(100, [], old=False) == b""
    assert interim(103, link, old=True) == b""


@pytest.mark.parametrize(
    ("status", "field", "reason"),
    [
        (0, (b"A", b"b"), "status 0"),
        (99, (b"A", b"b"), "status 99"),
        (103, (b"Content-Length", b"5"), "a body of an answer with status 103"),
        (
            100,
            (b"Transfer-Encoding", b"chunked"),
            "a body of an answer with status 100",
        ),
    ],
)
def test_an_answer_before_the_last_has_no_body(status, field, reason):
    assert interim(status, [field], old=False) == Fault(502, reason)
    assert interim(100, [(b"Content-Length", b"0")], old=False) == b""
