"""Lines of files as they are found: large, damaged, of other machines and programs."""

from __future__ import annotations

import gzip
import os
import threading
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.formats import text
from simulations.formats.text import LONGEST, lines
from simulations.trace import TraceError


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\n"))),
    st.booleans(), st.sampled_from(["\n", "\r\n"]), st.integers(1, 20),
)  # fmt: skip
def test_lines_are_what_was_between_their_ends(
    tmp_path_factory, said, zipped, end, block
):
    path = tmp_path_factory.mktemp("text") / "x"
    raw = "".join(each + end for each in said).encode()
    path.write_bytes(gzip.compress(raw) if zipped else raw)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_BLOCK", max(3, block))
        found = list(lines(path))

    assert "".join(found).encode() == raw.removeprefix(b"\xef\xbb\xbf")
    assert all(each.count("\n") == 1 for each in found)


@pytest.mark.parametrize("zipped", [False, True])
def test_the_mark_before_a_text_is_no_part_of_it(tmp_path, zipped):
    raw = b"\xef\xbb\xbfarrival_s\n1\n"
    (tmp_path / "x").write_bytes(gzip.compress(raw) if zipped else raw)

    assert list(lines(tmp_path / "x")) == ["arrival_s\n", "1\n"]


DAMAGED = {
    "bytes that are no text": (b"a\nb\nc\xff\n", "x:3: not UTF-8 at byte 2"),
    "UTF-16": ("a\nb\n".encode("utf-16"), "x:1: "),
    "a null byte in a line": (b"a\nb\0b\nc\n", "x:2: a null byte"),
    "gzip without its end": (gzip.compress(b"a\n" * 99)[:-9], "cannot be read"),
    "gzip with other bytes": (gzip.compress(os.urandom(9_999))[:-99] + b"a" * 99, "x"),
    "no gzip after all": (b"\x1f\x8b and more", "cannot be read"),
    "no end of line": (b"1\n" + b"a" * (LONGEST + 1), "x:2: more than 1,048,576"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damage_is_an_error_that_says_where(tmp_path, what):
    raw, said = DAMAGED[what]
    (tmp_path / "x").write_bytes(raw)

    with pytest.raises(TraceError, match=said):
        list(lines(tmp_path / "x"))


def test_null_bytes_at_the_end_are_a_line_that_was_cut_off(tmp_path):
    (tmp_path / "x").write_bytes(b"a\nb" + b"\0" * 512)

    assert list(lines(tmp_path / "x")) == ["a\n", "b" + "\0" * 512]


def test_what_fails_late_names_the_line_before(tmp_path):
    rows = "".join(f"{hash((1, n))}\n" for n in range(200_000))
    (tmp_path / "x").write_bytes(gzip.compress(rows.encode())[:-2_000])

    with pytest.raises(TraceError, match=r"cannot be read after line \d+: Compressed"):
        list(lines(tmp_path / "x"))


@pytest.mark.parametrize("zipped", [False, True])
def test_how_far_it_is_is_told_to_the_end(tmp_path, zipped):
    raw, told = b"1,a\n" * (1 << 20), []
    (tmp_path / "x").write_bytes(gzip.compress(raw) if zipped else raw)

    assert sum(1 for _ in lines(tmp_path / "x", told.append)) == 1 << 20

    assert told == sorted(told)
    assert told[-1] == (tmp_path / "x").stat().st_size


def test_a_directory_and_nothing_cannot_be_read(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(TraceError, match="cannot be read"):
            list(lines(path))


def test_a_pipe_is_read_too(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"a\nb\n",))
    writer.start()

    found = list(lines(pipe))

    writer.join(10)
    assert found == ["a\n", "b\n"]


@pytest.mark.parametrize(
    "raw", [b"a" * (100 << 20), b"1,a\n" * (2 << 20)], ids=["one line", "many lines"]
)
@pytest.mark.slow
def test_no_more_than_some_megabytes_are_held(tmp_path, raw):
    (tmp_path / "x.gz").write_bytes(gzip.compress(raw, 1))
    del raw

    tracemalloc.start()
    with suppress(TraceError):
        for _ in lines(tmp_path / "x.gz"):
            pass
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert most < 24 << 20
