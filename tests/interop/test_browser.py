"""A real browser's EventSource and WebSocket, each the one that wakes its model."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fakes.running import up

SERVER = Path(__file__).with_name("browsed.py")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_LIMIT_S = 60.0

chromium = next(filter(None, map(shutil.which, BROWSERS)), None)

pytestmark = [
    pytest.mark.interop,
    pytest.mark.slow,
    pytest.mark.skipif(
        chromium is None and not os.environ.get("CI"),
        reason="there is no chromium here; apt-get install chromium",
    ),
]


def document(name: str) -> str:
    container = {
        "name": "kserve-container",
        "image": "none",
        "command": ["$(PYTHON)", str(SERVER), "--port=$(PORT)"],
    }
    return json.dumps(
        {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": name},
            "spec": {"predictor": {"minReplicas": 0, "containers": [container]}},
        }
    )


def browse(url: str, profile: Path) -> str:
    """Return the page as it is when it has loaded."""
    assert chromium is not None, "apt-get install chromium"
    done = subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu",
            "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server",
            "--disable-background-networking", f"--user-data-dir={profile}",
            f"--timeout={_LIMIT_S * 1000:.0f}", "--dump-dom", url,
        ],
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=True,
    )  # fmt: skip
    return done.stdout


def listed(page: str, name: str) -> list[str]:
    """Return the items of a list of *page*."""
    found = re.search(rf'<ul id="{name}">(.*?)</ul>', page)
    assert found is not None, page
    return [each.strip() for each in re.findall("<li>(.*?)</li>", found[1])]


def test_a_browser_streams_and_speaks_through_cold_starts(tmp_path):
    documents = tmp_path / "documents"
    documents.mkdir()
    for name in ("page", "tokens", "chat"):
        (documents / f"{name}.json").write_text(document(name))
    homes = {"XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "cache"}
    environ = {name: str(tmp_path / home) for name, home in homes.items()}

    with up(str(documents), **environ) as running:
        states = {each["state"] for each in running.status().values()}
        assert states == {"asleep"}
        url = f"http://127.0.0.1:{running.port}/serving/default/page/page"
        page = browse(url, tmp_path / "profile")

        assert listed(page, "events") == [f"{n} token {n}" for n in range(1, 7)]
        assert listed(page, "echoes") == [
            "open",
            "grüße",
            "70000 times 7",
            "closed 1000",
        ]
        assert {each["state"] for each in running.status().values()} == {"ready"}
        assert running.stop() == 0
