"""What this machine has for replicas: the defaults of --memory and --gpus."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup/memory.max")
_DEVICE = re.compile(r"nvidia(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """A machine's size."""

    memory: int | None
    """Bytes; None: it does not say."""
    gpus: tuple[str, ...] = ()
    """NVIDIA devices, by number."""


def this_machine(devices: Path = Path("/dev"), limit: Path = _CGROUP) -> Hardware:
    """Return what is here, without asking any driver."""
    return Hardware(memory=_memory(limit), gpus=_gpus(devices))


def _memory(limit: Path) -> int | None:
    try:
        whole: int | None = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        whole = None
    try:
        allowed = limit.read_text().strip()
    except OSError:
        return whole
    if not allowed.isdigit():
        return whole  # "max"
    return min(int(allowed), whole) if whole else int(allowed)


def _gpus(devices: Path) -> tuple[str, ...]:
    try:
        names = [each.name for each in devices.iterdir()]
    except OSError:
        return ()
    numbers = [int(found[1]) for each in names if (found := _DEVICE.fullmatch(each))]
    return tuple(map(str, sorted(numbers)))
