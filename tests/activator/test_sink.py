"""Bytes go to a file or a pipe, and nobody is waited for."""

from __future__ import annotations

import os
import stat

import pytest

from activator.sink import Sink


def test_a_file_is_written_to_its_end_and_not_for_others(tmp_path):
    file = tmp_path / "log"
    file.write_bytes(b"old\n")
    sink = Sink(file)

    assert sink.put(b"x" * 100_000) == 100_000

    sink.close()
    assert file.read_bytes() == b"old\n" + b"x" * 100_000
    new = Sink(tmp_path / "new")
    assert not stat.S_IMODE((tmp_path / "new").stat().st_mode) & 0o007
    new.close()


def test_a_pipe_that_nobody_reads_takes_what_it_holds():
    reader, writer = os.pipe()
    sink = Sink(writer)
    data = bytes(range(256)) * 1000

    done = sink.put(data)
    assert 4096 <= done < len(data)
    assert sink.put(data[done:]) == 0
    got = os.read(reader, 1 << 20)
    assert sink.put(data[done:]) > 0
    os.read(reader, 1 << 20)

    assert got == data[:done]
    sink.close()
    os.write(writer, b"x")  # Whose descriptor it was has it still.
    os.close(writer)
    os.close(reader)


def test_a_pipe_without_a_reader_is_an_error():
    reader, writer = os.pipe()
    sink = Sink(writer)
    os.close(reader)

    with pytest.raises(BrokenPipeError):
        sink.put(b"x")

    os.close(writer)


def test_a_fifo_is_written_as_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "log")
    with pytest.raises(OSError, match="No such device"):
        Sink(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    sink = Sink(tmp_path / "log")

    done = sink.put(b"x" * (1 << 20))

    assert 4096 <= done < 1 << 20
    assert os.read(reader, 1 << 20) == b"x" * done
    sink.close()
    os.close(reader)


def test_a_file_that_was_moved_is_opened_anew(tmp_path):
    file, old = tmp_path / "log", tmp_path / "log.1"
    sink = Sink(file)
    sink.put(b"a\n")
    file.rename(old)
    sink.put(b"b\n")

    sink.reopen()
    sink.put(b"c\n")

    sink.close()
    assert (old.read_bytes(), file.read_bytes()) == (b"a\nb\n", b"c\n")


def test_where_no_new_file_can_be_made_the_old_one_goes_on(tmp_path, caplog):
    folder = tmp_path / "logs"
    folder.mkdir()
    sink = Sink(folder / "log")
    folder.rename(tmp_path / "moved")

    sink.reopen()
    sink.put(b"a\n")

    sink.close()
    assert (tmp_path / "moved" / "log").read_bytes() == b"a\n"
    assert "not opened again" in caplog.text


def test_a_descriptor_of_others_is_not_opened_again():
    reader, writer = os.pipe()
    sink = Sink(writer)

    sink.reopen()

    assert sink.put(b"x") == 1
    os.close(writer)
    os.close(reader)
