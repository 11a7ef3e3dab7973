"""A report in a real browser: it draws, zooms, tells; what is hostile does nothing."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from simulations.outcome import Series
from simulations.page.html import render
from tests.interop import driven
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
_LIMIT_S = 60.0

DRAWN = """[...document.querySelectorAll("canvas")].map((each) => {
  const { data } = each.getContext("2d").getImageData(0, 0, each.width, each.height);
  return new Set(new Uint32Array(data.buffer)).size;
})"""
"""How many colours each chart has: one that is blank has one."""
PICTURES = '[...document.querySelectorAll("canvas")].map((c) => c.toDataURL())'
OVER = """(() => {
  const over = document.querySelector(".u-over");
  over.scrollIntoView({ block: "center" });
  const { left, top, width, height } = over.getBoundingClientRect();
  return [left, top, width, height];
})()"""
NOW = 'document.querySelector("#moments li.now strong")?.textContent'


def written(directory: Path) -> str:
    page = directory / "report.html"
    told = render([outcome(), outcome(HOSTILE)], ORIGIN, front=FRONT)
    page.write_text(told, encoding="utf-8")
    return page.as_uri()


def text(of: str) -> str:
    return f"document.getElementById({of!r}).textContent"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280], ids=["a phone", "a desk"])
def test_it_draws_and_fits_whatever_the_screen(tmp_path, width, dark):
    async def scene() -> None:
        async with (
            asyncio.timeout(_LIMIT_S),
            driven.chromium(chromium or "chromium", tmp_path / "profile") as page,
        ):
            await page.resize(width, 900, dark=dark)
            await page.open(written(tmp_path))

            colours = await page.ask(DRAWN)
            assert len(colours) == 3
            assert min(colours) > 3
            assert await page.ask("document.documentElement.scrollWidth") == width
            tallest = (
                "[...document.querySelectorAll('.wide th')].map(e => e.offsetHeight)"
            )
            assert max(await page.ask(tallest)) < 160
            ground = await page.ask("getComputedStyle(document.body).backgroundColor")
            assert ground == ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)")
            assert page.complaints == []

    asyncio.run(scene())


def test_nothing_is_fetched_refused_or_done_by_what_is_hostile(tmp_path):
    async def scene() -> None:
        async with (
            asyncio.timeout(_LIMIT_S),
            driven.chromium(chromium or "chromium", tmp_path / "profile") as page,
        ):
            url = written(tmp_path)
            await page.open(url)
            await page.ask("""document.getElementById("which").value = "1";
                document.getElementById("which").dispatchEvent(new Event("change"))""")

            assert "onerror" in await page.ask(text("moments"))
            assert await page.ask("document.images.length") == 0
            assert page.requested == [url]
            assert page.complaints == []

    asyncio.run(scene())


def test_what_its_policy_does_not_know_does_not_run(tmp_path):
    async def scene() -> None:
        async with (
            asyncio.timeout(_LIMIT_S),
            driven.chromium(chromium or "chromium", tmp_path / "profile") as page,
        ):
            await page.open(written(tmp_path))
            await page.ask("""new Promise((over) => {
                document.addEventListener("securitypolicyviolation", over);
                const script = document.createElement("script");
                script.textContent = "document.title = 'harmed'";
                document.body.append(script);
            }).then(() => 0)""")

            assert await page.ask("document.title") != "harmed"

    asyncio.run(scene())


def test_a_drag_looks_closer_on_all_charts_and_a_button_shows_all_again(tmp_path):
    async def scene() -> None:
        async with (
            asyncio.timeout(_LIMIT_S),
            driven.chromium(chromium or "chromium", tmp_path / "profile") as page,
        ):
            await page.resize(1280, 900)
            await page.open(written(tmp_path))
            whole, before = await page.ask(text("range")), await page.ask(PICTURES)
            left, top, width, height = await page.ask(OVER)
            begin = (left + width * 0.25, top + height / 2)
            await page.drag(begin, (left + width * 0.5, top + height / 2))

            closer = await page.ask(text("range"))
            assert whole == "Shown: 00:00:00 to 02:00:00"
            assert closer != whole
            assert closer.startswith("Shown: 00:")
            after = await page.ask(PICTURES)
            assert all(one != other for one, other in zip(before, after, strict=True))

            await page.ask('document.getElementById("whole").click()')
            assert await page.ask(text("range")) == whole
            assert page.complaints == []

    asyncio.run(scene())


def test_decisions_are_found_by_a_click_and_by_keys(tmp_path):
    async def scene() -> None:
        async with (
            asyncio.timeout(_LIMIT_S),
            driven.chromium(chromium or "chromium", tmp_path / "profile") as page,
        ):
            await page.resize(1280, 900)
            await page.open(written(tmp_path))
            assert await page.ask(NOW) == "00:00:10"
            left, top, width, height = await page.ask(OVER)
            middle = (left + width / 2, top + height / 2)
            await page.drag(middle, middle)
            clicked = await page.ask(text("when"))
            assert clicked > "00:30:00"

            await page.ask('document.getElementById("moment").focus()')
            await page.key("ArrowRight")
            assert await page.ask(text("when")) > clicked
            await page.key("End")
            assert await page.ask(text("when")) == "02:00:00"
            await page.ask('document.getElementById("before").click()')
            assert await page.ask(NOW) == "00:00:10"
            assert page.complaints == []

    asyncio.run(scene())


def test_a_run_in_which_nothing_came_is_a_page_too(tmp_path):
    empty = replace(outcome(), waits=(), series=Series(), moments=(), figures=())
    told = render([empty], replace(ORIGIN, requests=0, span_s=0.0))
    (tmp_path / "report.html").write_text(told, encoding="utf-8")

    async def scene() -> None:
        async with (
            asyncio.timeout(_LIMIT_S),
            driven.chromium(chromium or "chromium", tmp_path / "profile") as page,
        ):
            await page.open((tmp_path / "report.html").as_uri())

            assert await page.ask(text("cut")) == "Nothing was decided."
            assert page.complaints == []

    asyncio.run(scene())
