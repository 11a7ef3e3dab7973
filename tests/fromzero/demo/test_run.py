from __future__ import annotations

import io

import pytest

from fromzero.demo import stage
from fromzero.demo.run import play
from fromzero.demo.story import Story
from tests.fakes.running import document


@pytest.mark.slow
def test_a_demo_that_takes_too_long_says_so_and_leaves_nothing(tmp_path):
    (tmp_path / "echo.json").write_text(document())
    out = io.StringIO()

    problems = play(tmp_path, Story(out), 0.0)

    assert problems == ["it was not over after 0 s"]
    assert stage.left(tmp_path) == []
    assert "0 requests, 0 answered right" in out.getvalue()
