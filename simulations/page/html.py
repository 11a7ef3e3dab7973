"""Outcomes as one page of HTML that works by itself: no network, nothing beside it.

Its policy allows the styles and scripts in it by their digests, and nothing else; what
comes from traces and documents is only ever text in it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from simulations.outcome import Front, Origin, Outcome
from simulations.page import found, parts
from simulations.page.data import embedded

_HERE = Path(__file__).parent


def render(
    outcomes: Sequence[Outcome], origin: Origin, *, front: Front | None = None
) -> str:
    """Return the page; the first outcome is what it is about."""
    style = _file("vendor/uplot.css") + _file("page.css")
    library, script = _file("vendor/uplot.js"), _file("page.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; "
        f"script-src '{_digest(library)}' '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    part = parts.part_of(outcomes, origin, held_back=front is not None)
    body = "\n".join(
        (
            *parts.head(outcomes, origin),
            *parts.comparison(outcomes, part),
            *(found.search(front, outcomes[0]) if front is not None else ()),
            *parts.costs(outcomes),
            *parts.waits(outcomes),
            *parts.over_time(outcomes, origin, part),
            *parts.again(outcomes, origin),
        )
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{parts.title(origin)}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n"
        f'<script type="application/json" id="data">{embedded(outcomes, origin)}'
        f"</script>\n<!-- uPlot 1.6.32, MIT: {_licence()} -->\n"
        f"<script>{library}</script>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _licence() -> str:
    return " ".join(_file("vendor/LICENSE").split()).replace("--", "-")


def _digest(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()
