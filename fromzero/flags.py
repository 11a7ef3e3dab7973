"""What the command line said to a program, and how that is handed on to its process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from fromzero.logs import LogFormat


class How(StrEnum):
    """Who says which settings a search tries next."""

    SOBOL = "sobol"
    OPTUNA = "optuna"


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What is written down while the machine runs; None: nothing."""

    trace: Path | None = None
    """Requests, as the simulator reads them."""
    decisions: Path | None = None
    """Calls and answers of the Fleet, as `replay` reads them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line said; None: nothing."""

    settings: Mapping[str, str | None]
    """By the names of docs/settings.md."""
    command: str = "up"
    """Which program."""
    paths: tuple[Path, ...] = ()
    config: Path | None = None
    records: Records = field(default_factory=Records)
    log_format: LogFormat = LogFormat.TEXT


def texts(**settings: object) -> dict[str, str | None]:
    """Return *settings* as a file would have them.

    >>> texts(port=80, secret=None)
    {'port': '80', 'secret': None}
    """
    return {k: None if v is None else str(v) for k, v in settings.items()}


def dumps(flags: Flags) -> str:
    """Return *flags* as a text that `loads` reads."""
    records = flags.records
    return json.dumps(
        {
            "command": flags.command,
            "paths": [str(each) for each in flags.paths],
            "settings": dict(flags.settings),
            "config": _text(flags.config),
            "trace": _text(records.trace),
            "decisions": _text(records.decisions),
            "log_format": flags.log_format.value,
        }
    )


def loads(text: str) -> Flags:
    """Return the flags that `dumps` wrote."""
    tree = json.loads(text)
    return Flags(
        command=tree["command"],
        paths=tuple(Path(each) for each in tree["paths"]),
        settings=tree["settings"],
        config=_path(tree["config"]),
        records=Records(trace=_path(tree["trace"]), decisions=_path(tree["decisions"])),
        log_format=LogFormat(tree["log_format"]),
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
