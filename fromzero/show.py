"""Tables and explanations for people; rich is imported only when one is drawn."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from fromzero.printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WIDE = 240  # Columns where there is no terminal: a line is cut for nobody.
_COLOURS = {
    "asleep": "dim",
    "starting": "yellow",
    "ready": "green",
    "draining": "blue",
    "waiting": "magenta",
    "failing": "red",
}


def console() -> Console:
    """Return a console on stdout, wide where that is no terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _WIDE
    return Console(width=width, highlight=False, markup=False, soft_wrap=True)


def table(revisions: Iterable[Mapping[str, Any]]) -> Table:
    """Return the table of revisions, from what `GET /status` gives for each."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("revision", "state"):
        shown.add_column(name, no_wrap=True)
    for name in ("ready/desired", "in flight", "held"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("why", overflow="fold")
    for each in revisions:
        state = str(each["state"])
        shown.add_row(
            printable(f"{each['namespace']}/{each['name']}"),
            Text(state, style=_COLOURS.get(state, "")),
            _replicas(each),
            str(each["in_flight"]),
            str(each["held"]),
            Text(printable(str(each["reason"]))),
        )
    return shown


def remarked(remarks: Iterable[Mapping[str, Any]]) -> str:
    """Return a line for each of *remarks*, those that keep hands off first."""
    ordered = sorted(remarks, key=lambda each: (not each["blocks"], each["about"]))
    return "\n".join(
        printable(
            f"{'hands off ' if each['blocks'] else ''}{each['about']}: "
            f"{each['reason']}: {each['message']}"
        )
        for each in ordered
    )


def explanation(of: Mapping[str, Any]) -> str:
    """Return what `GET /explain` gave, in words."""
    state = of["state"]
    lines = [
        f"{of['namespace']}/{of['name']} is {state}: {of['reason']}",
        f"  {_counted(of)}, {of['starting']} starting, "
        f"{of['draining']} draining; bounds {of['min']} to {of['max'] or 'any'}",
        f"  {of['in_flight']} in flight, {of['held']} held; {of['mode']} mode",
    ]
    moments: Sequence[Mapping[str, Any]] = of["moments"]
    lines.append("last decisions:" if moments else "nothing has been decided yet")
    lines += [f"  {_moment(each)}" for each in moments]
    if of["logs"] and state == "failing":
        lines.append("last lines of its output:")
        lines += [f"  {line}" for line in of["logs"][-10:]]
    return "\n".join(map(printable, lines))


def _replicas(of: Mapping[str, Any]) -> str:
    """Return how many are ready, of those that there may be, of those desired."""
    ready, allowed, desired = of["ready"], of["allowed"], of["desired"]
    if allowed < desired:
        return f"{ready}/{allowed} of {desired}"
    return f"{ready}/{desired}"


def _counted(of: Mapping[str, Any]) -> str:
    ready, allowed, desired = of["ready"], of["allowed"], of["desired"]
    if allowed < desired:
        return f"{ready} ready of {allowed} allowed, {desired} desired"
    return f"{ready} ready of {desired} desired"


def _moment(of: Mapping[str, Any]) -> str:
    at = datetime.fromtimestamp(of["at"]).astimezone().strftime("%H:%M:%S")
    count = f" {of['replicas']}" if "replicas" in of else ""
    return f"{at} {of['what']}{count}: {of['reason']}"
