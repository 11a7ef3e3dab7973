from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from fromzero.printable import printable

ANY = st.text(st.characters(exclude_categories=()))


@given(text=ANY)
@example(text="\x1b]0;title\x07")
@example(text="\r\n\x0b\x0c\x1c\x85\u2028\u2029")
@example(text="\x7f\x9b31m\u202e\ud800")
def test_whatever_is_said_is_one_line_of_what_can_be_seen(text):
    shown = printable(text)

    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    shown.encode()


@given(text=ANY)
def test_what_can_be_seen_is_shown_as_it_is(text):
    seen = "".join(each for each in text if each.isprintable())

    assert printable(seen) == seen
    assert printable(printable(text)) == printable(text)
