"""docs/commands.md against the commands themselves."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from fromzero.commands import app


def commands(group, before: str = ""):
    """Yield each command by its whole name, and those that only have others."""
    for name, each in group.commands.items():
        yield before + name, each
        if hasattr(each, "commands"):
            yield from commands(each, f"{before}{name} ")


TEXT = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
COMMANDS = dict(commands(typer.main.get_command(app)))
ROW = re.compile(r"^\| ([a-z, ]+) \| `(--[a-z-]+)[^`]*` \|", re.MULTILINE)


def options(command) -> set[str]:
    """Return the long names of a command's options."""
    found = {
        name
        for each in command.params
        for name in each.opts
        if name.startswith("--") and name != "--help"
    }
    return found


def test_every_command_has_its_row_with_what_its_help_says():
    for name, command in COMMANDS.items():
        (row,) = re.findall(
            rf"^\| `fromzero {name}(?:`| [^a-z]).*$", TEXT, re.MULTILINE
        )
        first = command.help.splitlines()[0].rstrip(".").split(";")[0]
        assert first in row


def test_every_option_is_in_the_table_with_the_commands_that_have_it():
    documented: dict[str, set[str]] = {}
    for commands, option in ROW.findall(TEXT):
        for name in commands.split(", "):
            documented.setdefault(name, set()).add(option)
    # One row is for "all of these".
    everywhere = documented.pop("all of these")
    have_config = {n for n, each in COMMANDS.items() if "--config" in options(each)}

    assert everywhere == {"--config"}
    assert {
        name: each | (everywhere if name in have_config else set())
        for name, each in documented.items()
    } == {name: options(each) for name, each in COMMANDS.items() if options(each)}
    assert have_config <= documented.keys()
