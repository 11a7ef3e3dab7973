"""What the autoscaler's loop asks of a backend, and what a backend tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from autoscaler.core.domain import Needs, Replica, RevisionKey, StartFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """What one replica is said to use: the 100 % of its use."""

    cpu: float = 0.0
    """Cores; 0: not said."""
    memory: int = 0
    """Bytes; 0: not said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How one replica is started on this machine."""

    command: tuple[str, ...]
    """Program and arguments; `$(NAME)` is filled in from the environment, with PORT
    and MODEL_DIR among it."""
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = ""
    """Empty: the directory fromzero was started in."""
    storage_uri: str = ""
    """Where the model is; empty: the command brings its own."""
    port: int = 0
    """0: any free port, given as $PORT; else the only port the program can use."""
    grace_s: float = 30.0
    """Seconds between SIGTERM and SIGKILL."""
    model_mount: str = "/mnt/models"
    """Text in command and env that stands for the model's local directory."""
    needs: Needs = field(default_factory=Needs)
    requested: Requested = field(default_factory=Requested)


class Sink(Protocol):
    """Where a backend reports, from the event loop's thread."""

    def observed(self, key: RevisionKey, replicas: tuple[Replica, ...]) -> None:
        """Say all replicas of *key* that exist now."""

    def failed(self, key: RevisionKey, failure: StartFailure) -> None:
        """Say that a start failed; `observed` without it follows."""


class Backend(Protocol):
    """Make replica counts true; never blocks, reports through its Sink."""

    def configure(self, key: RevisionKey, launch: Launch) -> None:
        """Use *launch* for starts from now on."""

    def remove(self, key: RevisionKey) -> None:
        """Stop every replica of *key*, with grace, and forget it."""

    def scale(self, key: RevisionKey, replicas: int, stop: tuple[str, ...]) -> None:
        """Have *replicas* replicas: stop those named (drained), start what lacks."""

    def ready(self, key: RevisionKey, replica: str) -> None:
        """Hear that *replica* serves: its death is no failed start from now on."""
