"""The settings of the machine: their names, flags, and how each is read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from activator.core.forwarded import Trust
from autoscaler import quantity

_ADDRESS = re.compile(r"([A-Za-z0-9_.-]+|\[[A-Fa-f0-9:.%]+\]):([0-9]{1,5})")
_NAME = re.compile(r"[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9_.:%*-]+")
_DOMAIN = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
_GPU = re.compile(r"[A-Za-z0-9._-]+")


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
    commands: tuple[str, ...] = ("up",)
    """Those of the programs that serve that have the flag."""
    path: bool = False
    """In the file, a relative path begins at the file's directory."""


class Unlimited:
    """Said on purpose: no limit."""


def _port(text: str) -> int | None:
    number = quantity.number(text)
    if number is None or number != int(number) or not 0 <= number <= 65535:
        return None
    return int(number)


def _whole(text: str) -> int | None:
    number = quantity.number(text)
    return int(number) if number is not None and number == int(number) >= 0 else None


def _some(text: str) -> int | None:
    return _whole(text) or None


def _bytes(text: str) -> int | None:
    return quantity.whole_bytes(text) or None


def _memory(text: str) -> object:
    return Unlimited() if text.strip() == "unlimited" else _bytes(text)


def _seconds(text: str) -> float | None:
    return quantity.seconds(text)


def _wait(text: str) -> float | None:
    return quantity.seconds(text) or None


def _proxies(text: str) -> str | None:
    try:
        return Trust.read(text.strip()).text
    except ValueError:
        return None


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda text: text.strip() if pattern.fullmatch(text.strip()) else None


def _address(text: str) -> str | None:
    found = _ADDRESS.fullmatch(text.strip())
    return found[0] if found is not None and 1 <= int(found[2]) <= 65535 else None


def _path(text: str) -> Path | None:
    return Path(os.path.expanduser(text)) if text.strip() else None


def _destination(text: str) -> Path | str | None:
    return text.strip() if text.strip() in ("stdout", "stderr") else _path(text)


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


_PORT_RULE = "must be a whole number in [0, 65535]"
_COUNT_RULE = "must be a whole number, 0 or more"
_HOST_RULE = "must be an address or a name of this machine"
_SIZE = "must be a size such as 512Mi, more than nothing"
_TIME = "must be a duration such as 30s, 0s or more"
_WAIT = "must be a duration such as 30s, more than 0s"

SETTINGS: Mapping[str, Setting] = {
    each.name: each
    for each in (
        Setting(
            name="port",
            field="port",
            read=_port,
            rule=_PORT_RULE,
            flag="--port",
            commands=("up", "activator"),
        ),
        Setting(
            name="host",
            field="host",
            read=_matching(_HOST),
            rule=_HOST_RULE,
        ),
        Setting(
            name="admin-port",
            field="admin_port",
            read=_port,
            rule=_PORT_RULE,
            flag="--admin-port",
            commands=("up", "activator", "autoscaler"),
        ),
        Setting(
            name="admin-host",
            field="admin_host",
            read=_matching(_HOST),
            rule=_HOST_RULE,
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
            rule=_COUNT_RULE,
        ),
        Setting(
            name="total-max-held-bytes",
            field="total_max_held_bytes",
            read=_bytes,
            rule=_SIZE,
        ),
        Setting(
            name="max-connections",
            field="max_connections",
            read=_some,
            rule="must be a whole number, 1 or more",
        ),
        Setting(
            name="trusted-proxies",
            field="trusted_proxies",
            read=_proxies,
            rule="must be networks such as 10.0.0.0/8, or private, all or none",
        ),
        Setting(name="max-head", field="max_head", read=_bytes, rule=_SIZE),
        Setting(name="max-target", field="max_target", read=_bytes, rule=_SIZE),
        Setting(
            name="max-fields",
            field="max_fields",
            read=_some,
            rule="must be a whole number, 1 or more",
        ),
        Setting(
            name="max-body",
            field="max_body",
            read=_memory,
            rule=f"{_SIZE}, or unlimited",
        ),
        Setting(name="head-timeout", field="head_timeout_s", read=_wait, rule=_WAIT),
        Setting(name="idle-timeout", field="idle_timeout_s", read=_wait, rule=_WAIT),
        Setting(name="stall-timeout", field="stall_timeout_s", read=_wait, rule=_WAIT),
        Setting(
            name="connect-timeout", field="connect_timeout_s", read=_wait, rule=_WAIT
        ),
        Setting(
            name="first-byte-timeout",
            field="first_byte_timeout_s",
            read=_seconds,
            rule=_TIME,
        ),
        Setting(
            name="tunnel-timeout", field="tunnel_timeout_s", read=_wait, rule=_WAIT
        ),
        Setting(
            name="termination-grace-period",
            field="termination_grace_s",
            read=_seconds,
            rule=_TIME,
        ),
        Setting(name="drain", field="drain_s", read=_seconds, rule=_TIME),
        Setting(
            name="access-log",
            field="access_log",
            read=_matching(re.compile("off|json|combined")),
            rule="must be off, json or combined",
            flag="--access-log",
            commands=("up", "activator"),
        ),
        Setting(
            name="access-log-file",
            field="access_log_file",
            read=_destination,
            rule="must be stdout, stderr or a file",
        ),
        Setting(
            name="seed",
            field="seed",
            read=_whole,
            rule=_COUNT_RULE,
        ),
        Setting(
            name="autoscaler",
            field="autoscaler",
            read=_address,
            rule="must be HOST:PORT",
            flag="--autoscaler",
            commands=("activator",),
        ),
        Setting(
            name="secret",
            field="secret",
            read=_path,
            rule="must be a file",
            flag="--secret",
            commands=("activator", "autoscaler"),
        ),
        Setting(
            name="name",
            field="name",
            read=_matching(_NAME),
            rule="must be a name as a pod's",
            flag="--name",
            commands=("activator", "autoscaler"),
        ),
        Setting(
            name="link-port",
            field="link_port",
            read=_port,
            rule=_PORT_RULE,
            flag="--link-port",
            commands=("autoscaler",),
        ),
        Setting(
            name="namespace",
            field="namespace",
            read=_matching(_NAME),
            rule="must be a namespace's name",
            flag="--namespace",
            commands=("autoscaler",),
        ),
        Setting(
            name="kubeconfig",
            field="kubeconfig",
            read=_path,
            rule="must be a file",
            flag="--kubeconfig",
            commands=("autoscaler",),
        ),
        Setting(name="leave-limit", field="leave_limit_s", read=_seconds, rule=_TIME),
        Setting(name="linger", field="linger_s", read=_seconds, rule=_TIME),
    )
}
