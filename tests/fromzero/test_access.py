"""The access log that is asked for, and docs/access-log.md about it."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from pathlib import Path

import pytest

from activator.core.entry import NOBODY, as_combined, as_json
from activator.core.exchange import Exchange
from autoscaler.errors import BadInput
from fromzero.access import on_screen, opened, reopening
from fromzero.config import Settings
from tests.fakes.running import document, up, wait_until

TEXT = (Path(__file__).parents[2] / "docs" / "access-log.md").read_text()
ASKED = Exchange(b"GET", b"/a")


def test_none_is_open_unless_it_is_asked_for():
    with opened(Settings()) as log:
        assert log is None
    assert not on_screen(Settings())


@pytest.mark.parametrize(("form", "begins"), [("json", "{"), ("combined", "::1 - - [")])
def test_a_file_gets_lines_in_the_form_that_was_asked_for(tmp_path, form, begins):
    file = tmp_path / "access.log"
    settings = Settings(access_log=form, access_log_file=file)

    with opened(settings) as log:
        assert log is not None
        log.refused(b"::1", ASKED, 404, 0.0)

    assert file.read_text().startswith(begins)
    assert not on_screen(settings)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_stream_of_the_process_gets_lines_and_stays_open(capfd, stream):
    settings = Settings(access_log="json", access_log_file=stream)

    with opened(settings) as log:
        assert log is not None
        log.refused(b"::1", ASKED, 404, 0.0)

    assert json.loads(getattr(capfd.readouterr(), stream[3:]))["status"] == 404
    assert on_screen(settings)


def test_a_file_that_cannot_be_written_is_said_before_anything_is_served(tmp_path):
    settings = Settings(access_log="json", access_log_file=tmp_path / "no" / "log")

    with (
        pytest.raises(BadInput, match="access-log-file.*cannot be written"),
        opened(settings),
    ):
        pass


def test_a_signal_opens_the_file_anew(tmp_path):
    file = tmp_path / "access.log"

    async def scene() -> None:
        with opened(Settings(access_log="json", access_log_file=file)) as log:
            assert log is not None
            reopening(log)
            log.refused(b"::1", ASKED, 404, 0.0)
            log.flush()
            file.rename(tmp_path / "old")
            signal.raise_signal(signal.SIGUSR1)
            async with asyncio.timeout(10.0):
                while not file.exists():  # noqa: ASYNC110 - a signal
                    await asyncio.sleep(0)
            log.refused(b"::1", ASKED, 405, 0.0)
            asyncio.get_running_loop().remove_signal_handler(signal.SIGUSR1)

    reopening(None)
    asyncio.run(scene())

    assert json.loads((tmp_path / "old").read_text())["status"] == 404
    assert json.loads(file.read_text())["status"] == 405


def test_each_field_has_its_row():
    course = (NOBODY, b"", 0, b"0", b"0", b"null", 0.0)
    line = json.loads(as_json(b"now", b"::1", ASKED, (200, b"ok", 0, 0), course))
    rows = re.findall(r"^\| (`.+?`) \| [A-Z`F].+ \|$", TEXT, re.MULTILINE)

    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == sorted(
        line, key=list(line).index
    )


def test_the_line_that_the_page_shows_is_one():
    exchange = Exchange(b"POST", b"/v1/models/iris:predict")
    exchange.agent = b"curl/8.5.0"
    course = (NOBODY, b"", 0, b"0", b"0", b"null", 0.0)
    at = b"25/Nov/2026:07:51:52 +0000"

    line = as_combined(at, b"10.0.0.7", exchange, (200, b"ok", 21, 0), course)

    assert line.decode() in TEXT


@pytest.mark.slow
def test_up_writes_a_line_for_each_request(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    file = tmp_path / "access.log"
    (tmp_path / "echo.json").write_text(document())

    with up(
        str(tmp_path / "echo.json"),
        "--access-log",
        "json",
        FROMZERO_ACCESS_LOG_FILE=str(file),
    ) as running:
        running.ask("echo", "/hello?key=hush")
        wait_until(lambda: bool(file.read_text()))
        assert running.stop() == 0

    (line,) = map(json.loads, file.read_text().splitlines())
    assert line["status"] == 200
    assert line["hold_s"] > 0
    assert line["target"].endswith("/hello?key=***")
