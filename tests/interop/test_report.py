"""A report in a real browser: it draws, and what is hostile in it does nothing."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from simulations.page.html import render
from tests.interop.test_browser import chromium
from tests.simulations.page.sample import FRONT, HOSTILE, ORIGIN, outcome

pytestmark = [
    pytest.mark.interop,
    pytest.mark.slow,
    pytest.mark.skipif(
        chromium is None and not os.environ.get("CI"),
        reason="there is no chromium here; apt-get install chromium",
    ),
]


@pytest.mark.parametrize("width", [390, 1280])
def test_its_charts_are_drawn_and_nothing_hostile_is_done(tmp_path, width):
    assert chromium is not None, "apt-get install chromium"
    page = tmp_path / "report.html"
    page.write_text(
        render([outcome(), outcome(HOSTILE)], ORIGIN, front=FRONT), encoding="utf-8"
    )

    done = subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu",
            "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server",
            "--disable-background-networking", f"--user-data-dir={tmp_path}/profile",
            "--enable-logging=stderr", f"--window-size={width},900",
            "--virtual-time-budget=5000", "--dump-dom", page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )  # fmt: skip

    # The console has what the policy refused, and what went wrong in scripts.
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    assert done.stdout.count("<canvas") == 3
    assert '<li class="now">' in done.stdout
    assert "onerror" in done.stdout
    assert not re.search(r"<img", done.stdout.replace("&lt;img", ""))
