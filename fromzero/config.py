"""All settings of `fromzero up`, resolved once: flag, environment, file, default.

Every setting has a key in the configuration file and FROMZERO_KEY in the environment;
docs/settings.md prints the table that a test compares with this module.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from activator.core.holds import Limits
from autoscaler import quantity
from autoscaler.component import SpecDefaults
from autoscaler.core.domain import Budget
from autoscaler.errors import BadInput, Problem
from autoscaler.fields import nearest
from autoscaler.knobs import KNOBS, Knob, held, parse
from autoscaler.kserve import Defaults
from autoscaler.marked import MalformedError
from autoscaler.marked import parse as parse_yaml
from autoscaler.place import Place
from fromzero.hardware import Hardware, this_machine

PREFIX = "FROMZERO_"
CONFIG = f"{PREFIX}CONFIG"
"""Names the configuration file where --config does not."""

_HOST = re.compile(r"[A-Za-z0-9_.:%*-]+")
_DOMAIN = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
_GPU = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a running fromzero is told; names are those of docs/settings.md."""

    port: int = 8080
    host: str = "0.0.0.0"
    admin_port: int = 9090
    admin_host: str = "127.0.0.1"
    domain: str = "localhost"
    memory: int | None = None
    """Bytes; None: not limited."""
    gpus: tuple[str, ...] = ()
    """Values for CUDA_VISIBLE_DEVICES."""
    patience_s: float = 60.0
    pvc_root: Path | None = None
    cache_dir: Path = Path(".cache")
    state_dir: Path = Path(".state")
    total_max_held: int = 10_000
    total_max_held_bytes: int = 256 << 20
    termination_grace_s: float = 30.0
    drain_s: float = 30.0
    seed: int | None = None
    """Makes canary and balancing draw the same each time; None: different."""
    spec: SpecDefaults = field(default_factory=SpecDefaults)
    """What holds where a document says nothing."""

    @property
    def budget(self) -> Budget:
        """Return what replicas may take of this machine."""
        return Budget(
            memory=self.memory, gpus=len(self.gpus), patience_s=self.patience_s
        )

    @property
    def limits(self) -> Limits:
        """Return what may be held over all gates."""
        return Limits(
            max_held=self.total_max_held, max_held_bytes=self.total_max_held_bytes
        )

    def defaults(self, activator: str, path: str) -> Defaults:
        """Return what documents are planned with.

        *activator* is host:port as replicas reach it, *path* where programs are.
        """
        return Defaults(
            spec=self.spec,
            budget=self.budget,
            domain=self.domain,
            activator=activator,
            grace_s=self.termination_grace_s,
            volumes=self.pvc_root,
            path=path,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of the machine's, not of a revision's."""

    name: str
    """Key in the file; the environment's is `variable(name)`."""
    field: str
    read: Callable[[str], object]
    """Return what a text means; None: it is wrong."""
    rule: str
    flag: str = ""
    path: bool = False
    """In the file, a relative path begins at the file's directory."""


def variable(name: str) -> str:
    """Return the environment's name of a setting.

    >>> variable("admin-port")
    'FROMZERO_ADMIN_PORT'
    """
    return PREFIX + name.upper().replace("-", "_")


def resolve(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    config: Path | None,
    machine: Hardware | None = None,
) -> Settings:
    """Return the settings; raise BadInput with every wrong one.

    *flags* are by name (`port`, `admin_port`, …), None where one was not given.
    """
    problems: list[Problem] = []
    if config is None and environ.get(CONFIG):
        config = Path(environ[CONFIG])
    said = _flags(flags)
    said |= {k: v for k, v in _environment(environ).items() if k not in said}
    if config is not None:
        from_file = _file(config, problems)
        said |= {k: v for k, v in from_file.items() if k not in said}
    values = _values(said, problems)
    if problems:
        raise BadInput(problems)
    settings = _machine_defaults(environ, machine or this_machine())
    chosen = {SETTINGS[k].field: v for k, v in values.items() if k in SETTINGS}
    # Each was read by the reader of its own field.
    settings = replace(settings, **cast("dict[str, Any]", chosen))
    return replace(settings, spec=_spec(settings.spec, values))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """A value as it was written, and where."""

    text: str
    source: str
    line: int = 0
    base: Path | None = None

    def bad(self, name: str, rule: str) -> Problem:
        if not self.line:
            return Problem(field=self.source, value=self.text or '""', rule=rule)
        return Problem(
            file=self.source, line=self.line, field=name, value=self.text, rule=rule
        )


def _flags(flags: Mapping[str, object]) -> dict[str, _Said]:
    found = {}
    for key, value in flags.items():
        name = key.replace("_", "-")
        if value is not None:
            found[name] = _Said(text=str(value), source=f"--{name}")
    return found


def _environment(environ: Mapping[str, str]) -> dict[str, _Said]:
    return {
        name: _Said(text=environ[key], source=key)
        for name in (*SETTINGS, *CONFIGURED)
        if (key := variable(name)) in environ
    }


def _file(path: Path, problems: list[Problem]) -> dict[str, _Said]:
    def bad(rule: str, line: int = 0) -> dict[str, _Said]:
        problems.append(Problem(file=str(path), line=line, rule=rule))
        return {}

    try:
        documents = parse_yaml(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        return bad("is not there")
    except OSError as error:
        return bad(f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return bad("is not UTF-8 text")
    except MalformedError as error:
        return bad(error.rule, error.line)
    if not documents:
        return {}
    if len(documents) > 1:
        return bad("has a second document, must be one", documents[1].line)
    found: dict[str, _Said] = {}
    known = (*SETTINGS, *CONFIGURED)
    root = Place(str(path), "", documents[0], problems)
    for name, place in root.items():
        if name not in known:
            near = nearest(name, known)
            place.bad(f"is no setting{f': did you mean {near}?' if near else ''}")
        elif (text := _text(place, name)) is not None:
            found[name] = _Said(
                text=text, source=str(path), line=place.line, base=path.parent
            )
    return found


def _text(place: Place, name: str) -> str | None:
    """Return a value as text; gpus may be a list."""
    if name == "gpus" and isinstance(place.node.data, tuple):
        each = [one.anything() for one in place.each()]
        return ",".join(one for one in each if one is not None) + ","
    return place.anything()


def _values(said: Mapping[str, _Said], problems: list[Problem]) -> dict[str, object]:
    values: dict[str, object] = {}
    for name, each in said.items():
        setting = SETTINGS.get(name)
        if setting is None:
            knob = CONFIGURED[name]
            value: object = parse(knob, each.text)
            rule = knob.rule
        else:
            value, rule = setting.read(each.text), setting.rule
            if isinstance(value, Path) and each.base is not None:
                value = each.base / value
            if isinstance(value, _Unlimited):
                values[name] = None
                continue
        if value is None:
            problems.append(each.bad(name, rule))
        else:
            values[name] = value
    return values


def _machine_defaults(environ: Mapping[str, str], machine: Hardware) -> Settings:
    home = Path(environ.get("HOME") or Path.home())
    state = environ.get("XDG_STATE_HOME")
    cache = environ.get("XDG_CACHE_HOME")
    return Settings(
        memory=machine.memory,
        gpus=machine.gpus,
        state_dir=(Path(state) if state else home / ".local" / "state") / "fromzero",
        cache_dir=(Path(cache) if cache else home / ".cache") / "fromzero",
    )


def _spec(defaults: SpecDefaults, values: Mapping[str, object]) -> SpecDefaults:
    changes: dict[str, dict[str, Any]] = {"scaling": {}, "gate": {}, "target": {}}
    for name, knob in CONFIGURED.items():
        value = values.get(name)
        if isinstance(value, bool | int | float | str):
            changes[knob.of][knob.field] = held(knob, value)
    return SpecDefaults(
        scaling=replace(defaults.scaling, **changes["scaling"]),
        gate=replace(defaults.gate, **changes["gate"]),
        target=replace(defaults.target, **changes["target"]),
    )


class _Unlimited:
    """Said on purpose: no limit."""


def _port(text: str) -> int | None:
    number = quantity.number(text)
    if number is None or number != int(number) or not 0 <= number <= 65535:
        return None
    return int(number)


def _whole(text: str) -> int | None:
    number = quantity.number(text)
    return int(number) if number is not None and number == int(number) >= 0 else None


def _bytes(text: str) -> int | None:
    return quantity.whole_bytes(text) or None


def _memory(text: str) -> object:
    return _Unlimited() if text.strip() == "unlimited" else _bytes(text)


def _seconds(text: str) -> float | None:
    return quantity.seconds(text)


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda text: text.strip() if pattern.fullmatch(text.strip()) else None


def _path(text: str) -> Path | None:
    return Path(os.path.expanduser(text)) if text.strip() else None


def gpus(text: str) -> tuple[str, ...] | None:
    """Return the GPUs that *text* means: how many, or which.

    >>> gpus("2"), gpus("0,3"), gpus("1,"), gpus("0")
    (('0', '1'), ('0', '3'), ('1',), ())
    """
    text = text.strip()
    if text.isdigit():
        return tuple(map(str, range(int(text)))) if int(text) <= 1024 else None
    each = [one.strip() for one in text.rstrip(",").split(",")]
    if not all(_GPU.fullmatch(one) for one in each) or len(set(each)) < len(each):
        return None
    return tuple(each)


_SIZE = "must be a size such as 512Mi, more than nothing"
_TIME = "must be a duration such as 30s, 0s or more"

SETTINGS: Mapping[str, Setting] = {
    each.name: each
    for each in (
        Setting(
            name="port",
            field="port",
            read=_port,
            rule="must be a whole number in [0, 65535]",
            flag="--port",
        ),
        Setting(
            name="host",
            field="host",
            read=_matching(_HOST),
            rule="must be an address or a name of this machine",
        ),
        Setting(
            name="admin-port",
            field="admin_port",
            read=_port,
            rule="must be a whole number in [0, 65535]",
            flag="--admin-port",
        ),
        Setting(
            name="admin-host",
            field="admin_host",
            read=_matching(_HOST),
            rule="must be an address or a name of this machine",
        ),
        Setting(
            name="domain",
            field="domain",
            read=_matching(_DOMAIN),
            rule="must be a domain in lower case",
        ),
        Setting(
            name="memory",
            field="memory",
            read=_memory,
            rule=f"{_SIZE}, or unlimited",
            flag="--memory",
        ),
        Setting(
            name="gpus",
            field="gpus",
            read=gpus,
            rule="must be how many GPUs, or which, as 0,1",
            flag="--gpus",
        ),
        Setting(name="patience", field="patience_s", read=_seconds, rule=_TIME),
        Setting(
            name="pvc-root",
            field="pvc_root",
            read=_path,
            rule="must be a directory",
            flag="--pvc-root",
        ),
        Setting(
            name="cache-dir",
            field="cache_dir",
            read=_path,
            rule="must be a directory",
        ),
        Setting(
            name="state-dir",
            field="state_dir",
            read=_path,
            rule="must be a directory",
            flag="--state-dir",
        ),
        Setting(
            name="total-max-held",
            field="total_max_held",
            read=_whole,
            rule="must be a whole number, 0 or more",
        ),
        Setting(
            name="total-max-held-bytes",
            field="total_max_held_bytes",
            read=_bytes,
            rule=_SIZE,
        ),
        Setting(
            name="termination-grace-period",
            field="termination_grace_s",
            read=_seconds,
            rule=_TIME,
        ),
        Setting(name="drain", field="drain_s", read=_seconds, rule=_TIME),
        Setting(
            name="seed",
            field="seed",
            read=_whole,
            rule="must be a whole number, 0 or more",
        ),
    )
}

CONFIGURED: Mapping[str, Knob] = {
    name: knob for name, knob in KNOBS.items() if knob.configured
}
"""Settings of revisions that have a default in the file and the environment."""
