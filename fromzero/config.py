"""All settings of `fromzero up`, resolved once: flag, environment, file, default.

Every setting has a key in the configuration file and FROMZERO_KEY in the environment;
docs/settings.md prints the table that a test compares with this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from activator.core.holds import Limits
from activator.reading import Bounds
from activator.settings import ActivatorSettings, Patience
from autoscaler.component import SpecDefaults
from autoscaler.core.domain import Budget
from autoscaler.errors import BadInput, Problem
from autoscaler.fields import nearest
from autoscaler.knob import Knob, held, parse
from autoscaler.knobs import KNOBS
from autoscaler.kserve import Defaults
from autoscaler.marked import MalformedError
from autoscaler.marked import parse as parse_yaml
from autoscaler.place import Place
from fromzero.hardware import Hardware, this_machine
from fromzero.options import SETTINGS, Unlimited

PREFIX = "FROMZERO_"
CONFIG = f"{PREFIX}CONFIG"
"""Names the configuration file where --config does not."""

CONFIGURED: Mapping[str, Knob] = {
    name: knob for name, knob in KNOBS.items() if knob.configured
}
"""Settings of revisions that have a default in the file and the environment."""


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
    max_connections: int = 20_000
    trusted_proxies: str = "private"
    max_head: int = 64 << 10
    max_target: int = 16 << 10
    max_fields: int = 1000
    max_body: int | None = None
    """Bytes; None: not limited."""
    head_timeout_s: float = 30.0
    idle_timeout_s: float = 120.0
    stall_timeout_s: float = 120.0
    connect_timeout_s: float = 5.0
    first_byte_timeout_s: float = 0.0
    """0: as long as the request may take."""
    tunnel_timeout_s: float = 300.0
    termination_grace_s: float = 30.0
    drain_s: float = 30.0
    access_log: str = "off"
    """Or json, or combined."""
    access_log_file: Path | str = "stdout"
    """A path, or stdout or stderr."""
    seed: int | None = None
    """Makes canary and balancing draw the same each time; None: different."""
    autoscaler: str = ""
    """host:port at which all autoscalers of a cluster are found."""
    secret: Path | None = None
    """File with what both ends of a link know."""
    name: str = ""
    """A process's own, as no other's."""
    link_port: int = 9091
    namespace: str = ""
    """The one namespace to manage; empty: all that are labelled."""
    kubeconfig: Path | None = None
    """None: as a pod of the cluster."""
    leave_limit_s: float = 30.0
    linger_s: float = 0.0
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

    @property
    def served(self) -> ActivatorSettings:
        """Return what an activator is told, wherever it is."""
        return ActivatorSettings(
            limits=self.limits,
            max_connections=self.max_connections,
            trusted=self.trusted_proxies,
            domain=self.domain,
            seed=self.seed,
            drain_s=self.drain_s,
            linger_s=self.linger_s,
            patience=Patience(
                head_s=self.head_timeout_s,
                idle_s=self.idle_timeout_s,
                stall_s=self.stall_timeout_s,
                connect_s=self.connect_timeout_s,
                first_byte_s=self.first_byte_timeout_s,
                silent_s=self.tunnel_timeout_s,
            ),
            bounds=Bounds(
                head=self.max_head,
                target=self.max_target,
                fields=self.max_fields,
                body=self.max_body or 0,
            ),
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
    defaults: Settings | None = None,
) -> Settings:
    """Return the settings; raise BadInput with every wrong one.

    *flags* are by name (`port`, `admin_port`, …), None where one was not given.
    *defaults* are this machine's where they are not given.
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
    settings = defaults or of_machine(environ, this_machine())
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
            if isinstance(value, Unlimited):
                values[name] = None
                continue
        if value is None:
            problems.append(each.bad(name, rule))
        else:
            values[name] = value
    return values


def of_machine(environ: Mapping[str, str], machine: Hardware) -> Settings:
    """Return what holds on *machine* where nobody says otherwise."""
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
