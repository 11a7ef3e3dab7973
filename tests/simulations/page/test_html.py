"""A page that works by itself: one file, a strict policy, the same each time."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from simulations.page import html
from simulations.page.html import render
from tests.simulations.page.sample import FRONT, HOSTILE, ORIGIN, outcome

OUTCOMES = [outcome(), outcome("always on"), outcome(HOSTILE)]


class Elements(HTMLParser):
    """What a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_endtag(self, tag):
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data):
        if self.inside and self.inside[-1] in self.texts:
            self.texts[self.inside[-1]].append(data)


@pytest.mark.parametrize("front", [None, FRONT], ids=["simulate", "tune"])
def test_the_same_outcomes_make_the_same_page_small_enough_to_send(front):
    page = render(OUTCOMES, ORIGIN, front=front)

    assert page == render(OUTCOMES, ORIGIN, front=front)
    assert len(page) < 120_000
    assert page.count("<h1>") == 1


def test_nothing_is_fetched_and_only_its_own_scripts_may_run():
    seen = Elements(render(OUTCOMES, ORIGIN, front=FRONT))

    for tag, attributes in seen.found:
        assert tag not in {"img", "iframe", "link", "object", "embed", "base", "form"}
        assert not {"src", "href", "style"} & attributes.keys(), (tag, attributes)
        assert not any(name.startswith("on") for name in attributes)
    (policy,) = [
        attributes["content"] for tag, attributes in seen.found
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]  # fmt: skip
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    scripts = [each for each in seen.texts["script"] if not each.startswith("{")]
    for text in (*scripts, *seen.texts["style"]):
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert len(scripts) == 2


def test_the_licence_of_what_is_not_ours_is_in_it():
    page = render(OUTCOMES, ORIGIN)

    assert re.search(r"<!-- uPlot 1\.6\.32, MIT: The MIT License .*Leon Sorokin", page)


def test_what_is_not_ours_is_as_it_was_published():
    vendor = Path(html.__file__).parent / "vendor"
    digests = {
        each.name: sha256(each.read_bytes()).hexdigest() for each in vendor.iterdir()
    }

    # Of dist/uPlot.iife.min.js, dist/uPlot.min.css and LICENSE in uplot-1.6.32.tgz.
    assert digests == {
        "uplot.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
        "uplot.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
        "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    }
