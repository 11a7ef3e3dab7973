"""Which version of each component was promoted last, and where that is remembered.

A version is what would be launched. Its number grows when that changes, never with a
setting; going back to the promoted version brings its number back.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from autoscaler.backends.base import Launch, Requested
from autoscaler.core.domain import Needs, Probe
from autoscaler.errors import BadInput, Problem

_FILE = "versions.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a version is made of: all that a replica needs to start and be asked."""

    launch: Launch
    probe: Probe = field(default_factory=Probe)
    runtime: str = ""
    """In words."""

    @property
    def digest(self) -> str:
        """Return what differs when something else would be launched."""
        launch = self.launch
        parts = (
            launch.command,
            sorted(launch.env),
            launch.cwd,
            launch.storage_uri,
            launch.port,
            launch.model_mount,
            launch.needs.gpus,
        )
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a component."""

    number: int
    made: Made


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is remembered of a component."""

    last: int
    """Highest number ever given."""
    promoted: Version
    latest: Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All components, by `namespace/name-predictor` and the like."""

    components: Mapping[str, History] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def remember(self, name: str, history: History) -> Memory:
        """Return a memory that has *history* too."""
        return replace(
            self, components=MappingProxyType({**self.components, name: history})
        )


def advance(before: History | None, made: Made, canary: float | None) -> History:
    """Return the history once *made* is what the document says.

    *canary* is its canaryTrafficPercent; without one, or at 100, it is promoted.
    """
    if before is None:
        first = Version(number=1, made=made)
        return History(last=1, promoted=first, latest=first)
    last = before.last
    digest = made.digest
    if digest == before.latest.made.digest:
        latest = replace(before.latest, made=made)
    elif digest == before.promoted.made.digest:
        latest = replace(before.promoted, made=made)
    else:
        last += 1
        latest = Version(number=last, made=made)
    whole = canary is None or canary >= 100 or latest.number == before.promoted.number
    promoted = latest if whole else before.promoted
    return History(last=last, promoted=promoted, latest=latest)


def weights(
    history: History, canary: float | None
) -> tuple[tuple[Version, float], ...]:
    """Return the versions that are wanted and the share of requests of each, in %."""
    if history.promoted.number == history.latest.number or canary is None:
        return ((history.latest, 100.0),)
    return ((history.promoted, 100.0 - canary), (history.latest, float(canary)))


def directory_of(state_dir: Path, paths: Sequence[Path]) -> Path:
    """Return where the versions of the documents at *paths* are remembered.

    Two projects may each have a service of one name; they share no version.
    """
    places = sorted(os.path.abspath(each) for each in paths)
    digest = hashlib.sha256("\0".join(places).encode(errors="surrogateescape"))
    return state_dir / digest.hexdigest()[:16]


def load(directory: Path) -> Memory:
    """Read what was remembered; raise BadInput for a file that cannot be read."""
    path = directory / _FILE
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return Memory()
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(path, f"cannot be read: {error}") from error
    try:
        tree = json.loads(text)
        if tree["format"] != _FORMAT:
            raise _bad(path, f"has format {tree['format']}, must be {_FORMAT}")
        known = {name: _history(each) for name, each in tree["components"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _bad(
            path, "is not what fromzero wrote; delete it, and each service begins anew"
        ) from error
    return Memory(components=MappingProxyType(known))


def save(directory: Path, memory: Memory) -> None:
    """Write what to remember: the file has all of it, or stays as it was."""
    tree = {
        "format": _FORMAT,
        "components": {
            name: asdict(each) for name, each in sorted(memory.components.items())
        },
    }
    path = directory / _FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=directory, prefix=_FILE, suffix=".part")
        try:
            with open(handle, "w", encoding="utf-8") as file:
                json.dump(tree, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except OSError:
            os.unlink(part)
            raise
    except OSError as error:
        raise _bad(
            path, f"cannot be written: {error.strerror}; name another with --state-dir"
        ) from error


def _bad(path: Path, rule: str) -> BadInput:
    return BadInput([Problem(file=str(path), rule=rule)])


def _history(tree: dict[str, Any]) -> History:
    return History(
        last=int(tree["last"]),
        promoted=_version(tree["promoted"]),
        latest=_version(tree["latest"]),
    )


def _version(tree: dict[str, Any]) -> Version:
    made, launch = tree["made"], tree["made"]["launch"]
    return Version(
        number=int(tree["number"]),
        made=Made(
            launch=Launch(
                **{
                    **launch,
                    "command": tuple(map(str, launch["command"])),
                    "env": tuple((str(k), str(v)) for k, v in launch["env"]),
                    "needs": Needs(**launch["needs"]),
                    # Files of before it was remembered do not have it.
                    "requested": Requested(**launch.get("requested", {})),
                }
            ),
            probe=Probe(**made["probe"]),
            runtime=str(made["runtime"]),
        ),
    )
