"""A file is there whole or as it was; what is no file stays what it is."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from fromzero.errors import CommandError
from fromzero.files import ready, write


def test_a_file_is_written_whole_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "a.txt"

    write(path, ["one\n", "two\n"])

    assert path.read_text() == "one\ntwo\n"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_is_no_text_is_escaped(tmp_path):
    write(tmp_path / "a.txt", ["of b\udcff.csv\n"])

    assert (tmp_path / "a.txt").read_text() == "of b\\udcff.csv\n"


def test_what_goes_wrong_in_the_middle_leaves_the_file_before(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def lines():
        yield "one\n"
        raise OSError(28, "No space left on device")

    with pytest.raises(CommandError, match="No space left"):
        write(path, lines())

    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real.txt")

    write(tmp_path / "link", ["text"])

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "text"


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text()))
    reader.start()

    write(pipe, ["text"])

    reader.join(30)
    assert heard == ["text"]
    assert pipe.is_fifo()


@pytest.mark.parametrize("place", ["no/such/file", "."])
def test_where_nothing_can_be_written_it_is_said(tmp_path, place):
    with pytest.raises(CommandError, match="cannot be written"):
        write(tmp_path / place, ["text"])


def test_what_could_not_be_written_is_refused_as_by_writing(tmp_path):
    for path in (tmp_path, tmp_path / "no" / "such.html"):
        with pytest.raises(CommandError) as later:
            write(path, [])
        with pytest.raises(CommandError) as before:
            ready(path, ())

        assert str(before.value) == str(later.value)
    ready(tmp_path / "a.html", ())
    ready(Path(os.devnull), (Path(os.devnull),))


def test_what_is_read_is_not_written_over_by_any_of_its_names(tmp_path):
    read, link, other = (tmp_path / name for name in ("a.csv", "b.csv", "c.csv"))
    read.write_text("recorded")
    link.symlink_to(read)

    for path in (read, link):
        with pytest.raises(CommandError, match="is what is read; must be another"):
            ready(path, (other, read))
    ready(other, (read,))
