"""The file with what both ends of a link know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from autoscaler.core.handshake import Keys, SecretError, keys
from autoscaler.errors import Problem


def reading(path: Path) -> Callable[[], Keys]:
    """Return what reads the secrets that count now: the file may be changed."""
    return lambda: keys(path.read_bytes())


def problems(path: Path | None, others: str) -> Iterator[Problem]:
    """Yield why there is no link to *others* with this file; never what is in it."""
    if path is None:
        rule = f"must be given: the file that the {others} have too"
        yield Problem(field="--secret", rule=rule)
        return
    try:
        reading(path)()
    except OSError as error:
        rule = f"cannot be read: {error.strerror}"
        yield Problem(field="--secret", value=str(path), rule=rule)
    except SecretError as error:
        yield Problem(file=str(path), rule=str(error))
