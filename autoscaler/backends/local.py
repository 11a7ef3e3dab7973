"""Replicas as processes of this machine."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from autoscaler.backends.base import Launch, Sink
from autoscaler.backends.environment import fill
from autoscaler.backends.group import Child, Group, Phase
from autoscaler.backends.ports import Devices, Ports
from autoscaler.backends.process import Ended, Guard, Order
from autoscaler.backends.reasons import clean, port_was_taken, why
from autoscaler.backends.storage import Absent, StorageSettings, Store
from autoscaler.backends.usage import Look, Use
from autoscaler.clock import Clock, monotonic
from autoscaler.core.domain import RevisionKey, StartFailure

_log = logging.getLogger(__name__)
_ATTEMPTS = 3  # Ports tried before "address already in use" is an answer.
_REASON = 500  # Characters; the whole output is in the logs.
_LAST_S = 5.0  # What was killed has gone by then, or hangs in the kernel.


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """What this machine gives its replicas."""

    environ: Mapping[str, str]
    """Environment that replicas inherit; settings of fromzero's own are left out."""
    storage: StorageSettings
    gpus: tuple[str, ...] = ()
    """Values for CUDA_VISIBLE_DEVICES, each given to one replica at a time."""
    host: str = "127.0.0.1"
    """Where replicas are reached."""
    log_lines: int = 500
    """Lines of output kept for each group."""
    settle_s: float = 10.0
    """A replica that dies so soon after it was ready has failed to start."""


class LocalBackend:
    """Start and stop processes through the guard; see Backend for the promises.

    Nothing is started again on its own: a replica that dies is missing from the next
    picture, and whoever counts asks for another. A death before `ready` is a failed
    start, final; one within `settle_s` after it is a failed start, not final; a later
    one is only a missing replica.
    """

    def __init__(
        self, sink: Sink, settings: LocalSettings, clock: Clock = monotonic
    ) -> None:
        self._sink = sink
        self._settings = settings
        self._clock = clock
        self._guard = Guard()
        self._store = Store(settings.storage, self._guard)
        self._ports = Ports(offset=secrets.randbelow(1 << 16))
        self._devices = Devices(settings.gpus)
        self._groups: dict[RevisionKey, Group] = {}
        self._waiting: list[Child] = []
        self._changed: dict[RevisionKey, None] = {}
        self._failures: list[tuple[RevisionKey, StartFailure]] = []
        self._inherited = _inherited(settings.environ)
        self._run = secrets.token_hex(2)
        self._number = 0
        self._closing = False
        self._empty = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Start the guard, so that the first wake need not wait for it."""
        self._loop = asyncio.get_running_loop()
        self._guard.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all replicas, with grace; if cancelled meanwhile, without."""
        self._closing = True
        for uri in self._store.fetching:
            self._store.forget(uri)
        for group in self._groups.values():
            for each in list(group.replicas.values()):
                self._stop(each)
        self._wake_closer()
        try:
            await self._empty.wait()
        except asyncio.CancelledError:
            self._kill_all()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_S):
                    await self._empty.wait()
            raise
        finally:
            await self._guard.close()

    def configure(self, key: RevisionKey, launch: Launch) -> None:
        """Use *launch* for starts from now on."""
        if group := self._groups.get(key):
            group.launch = launch
            group.removed = False
        else:
            self._groups[key] = Group(launch, self._settings.log_lines)

    def remove(self, key: RevisionKey) -> None:
        """Stop every replica of *key*, with grace, and forget it."""
        if group := self._groups.get(key):
            group.removed = True
            for each in list(group.replicas.values()):
                self._stop(each)
            self._forget_if_empty(key)

    def scale(self, key: RevisionKey, replicas: int, stop: tuple[str, ...]) -> None:
        """Have *replicas* replicas: stop those named, start what lacks."""
        group = self._groups.get(key)
        if group is None or group.removed or self._closing:
            return
        for name in stop:
            if each := group.replicas.get(name):
                self._stop(each)
        staying = group.staying()
        for each in staying[max(replicas, 0) :]:
            self._stop(each)
        for _ in range(replicas - len(staying)):
            self._start(key, group)

    def ready(self, key: RevisionKey, replica: str) -> None:
        """Hear that *replica* serves: from now on its death is not a failed start."""
        if (each := self._find(key, replica)) and each.phase is Phase.STARTING:
            each.phase = Phase.READY
            each.ready_at = self._clock()

    def logs(self, key: RevisionKey) -> tuple[str, ...]:
        """Return the last lines of output of *key*'s replicas, dead ones too."""
        group = self._groups.get(key)
        return tuple(group.lines) if group else ()

    def used(self, key: RevisionKey, look: Look) -> dict[str, Use]:
        """Return what each ready replica of *key* uses, with all that it started."""
        group = self._groups.get(key)
        if group is None:
            return {}
        return {
            each.name: look.below(keeper)
            for each in group.replicas.values()
            if each.phase is Phase.READY
            and each.process is not None
            # What lost its parent is the keeper's; one without a keeper is dying.
            and (keeper := look.parent(each.process.pid))
            and keeper != self._guard.pid
        }

    def _start(self, key: RevisionKey, group: Group) -> None:
        self._number += 1
        name = f"{key.name}-{self._run}-{self._number}"
        replica = Child(key, name, self._number, group.launch)
        group.replicas[name] = replica
        self._report(key)
        uri = replica.launch.storage_uri
        if not uri:
            self._place(replica)
            return
        match self._store.locate(uri):
            case Absent() as absent:
                self._fail(replica, absent.reason, final=absent.final)
            case Path() as path:
                replica.model = str(path)
                self._place(replica)
            case None:
                try:
                    self._store.fetch(uri, lambda got: self._fetched(replica, got))
                except OSError as error:
                    reason = f"storage: cannot fetch {uri}: {error.strerror}"
                    self._fail(replica, reason, final=False)

    def _fetched(self, replica: Child, got: Path | Absent) -> None:
        self._wake_closer()
        if self._find(replica.key, replica.name) is not replica:
            return  # Stopped meanwhile; the model stays for the next start.
        match got:
            case Absent(reason=reason, final=final):
                self._fail(replica, reason, final=final)
            case Path() as path:
                replica.model = str(path)
                self._place(replica)

    def _place(self, replica: Child) -> None:
        """Give *replica* GPUs and a port and start it, or let it wait for them."""
        needs, port = replica.launch.needs, replica.launch.port
        if needs.gpus > len(self._devices):
            reason = f"needs {needs.gpus} GPUs, this machine has {len(self._devices)}"
            self._fail(replica, reason, final=True)
            return
        gpus = self._devices.take(needs.gpus, replica.name)
        if gpus is None:
            self._wait(replica)
            return
        if not port:
            replica.port = self._ports.take(replica.name)
            if not replica.port:
                self._fail(replica, "no port is free on this machine", final=False)
                return
        elif holder := self._ports.take_this(port, replica.name):
            if self._is_stopping(holder):
                self._devices.give_back(replica.name)
                self._wait(replica)
            else:
                self._fail(replica, f"port {port} is in use by {holder}", final=True)
            return
        else:
            replica.port = port
        self._run_it(replica, gpus)

    def _run_it(self, replica: Child, gpus: tuple[str, ...]) -> None:
        given = {"PORT": str(replica.port)}
        if replica.model:
            given["MODEL_DIR"] = replica.model
        if self._settings.gpus:
            given["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
        argv, env = fill(replica.launch, given, self._inherited)
        if not argv:
            self._fail(replica, "no command to start", final=True)
            return
        launch = replica.launch
        order = Order(argv=argv, env=env, cwd=launch.cwd, grace_s=launch.grace_s)
        lines = self._groups[replica.key].lines

        def on_line(line: str) -> None:
            lines.append(f"{replica.name}: {line}")
            _log.debug("output replica=%s line=%s", replica.name, line)

        try:
            replica.process = self._guard.start(
                order, on_line, lambda ended: self._ended(replica, order, ended)
            )
        except OSError as error:
            self._fail(replica, f"cannot start: {error.strerror}", final=False)
            return
        replica.phase = Phase.STARTING
        _log.info("started replica=%s port=%d", replica.name, replica.port)
        self._report(replica.key)

    def _ended(self, replica: Child, order: Order, ended: Ended) -> None:
        replica.process = None
        _log.info("ended replica=%s status=%s", replica.name, ended.status)
        if replica.phase is Phase.STARTING and self._try_elsewhere(replica, ended):
            return
        reason = why(order, ended)
        match replica.phase:
            case Phase.STARTING:
                self._fail(
                    replica, reason, final=ended.status is not None or ended.errno > 0
                )
            case Phase.READY:
                _log.warning("lost replica=%s reason=%s", replica.name, reason)
                lived_s = self._clock() - replica.ready_at
                if lived_s < self._settings.settle_s:
                    reason = f"died {lived_s:.1f} s after it was ready: {reason}"
                    self._fail(replica, reason, final=False)
                else:
                    self._drop(replica)
            case Phase.WAITING | Phase.STOPPING:
                self._drop(replica)

    def _try_elsewhere(self, replica: Child, ended: Ended) -> bool:
        """Start again on another port when somebody took this one; False: no more."""
        replica.attempts += 1
        if (
            replica.launch.port
            or replica.attempts >= _ATTEMPTS
            or not port_was_taken(ended)
        ):
            return False
        taken = replica.port
        replica.phase, replica.port = Phase.WAITING, 0
        self._devices.give_back(replica.name)
        self._place(replica)
        self._ports.give_back(replica.name, but=replica.port)
        _log.info("moved replica=%s from=%d to=%d", replica.name, taken, replica.port)
        return True

    def _stop(self, replica: Child) -> None:
        if replica.process is None:
            self._drop(replica)
        elif replica.phase is not Phase.STOPPING:
            replica.phase = Phase.STOPPING
            replica.process.stop()

    def _fail(self, replica: Child, reason: str, *, final: bool) -> None:
        failure = StartFailure(
            reason=clean(reason, limit=_REASON), final=final, replica=replica.name
        )
        self._failures.append((replica.key, failure))
        self._drop(replica)

    def _drop(self, replica: Child) -> None:
        """Let go of what *replica* had, and let those who wait for it try again."""
        self._ports.give_back(replica.name)
        self._devices.give_back(replica.name)
        self._groups[replica.key].replicas.pop(replica.name, None)
        self._report(replica.key)
        self._forget_if_empty(replica.key)
        self._wake_closer()
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if self._find(each.key, each.name) is each:
                self._place(each)

    def _wait(self, replica: Child) -> None:
        self._waiting.append(replica)

    def _is_stopping(self, name: str) -> bool:
        return any(
            group.replicas[name].phase is Phase.STOPPING
            for group in self._groups.values()
            if name in group.replicas
        )

    def _find(self, key: RevisionKey, name: str) -> Child | None:
        group = self._groups.get(key)
        return group.replicas.get(name) if group else None

    def _forget_if_empty(self, key: RevisionKey) -> None:
        group = self._groups.get(key)
        if group and group.removed and not group.replicas:
            del self._groups[key]
            uri = group.launch.storage_uri
            if not any(r.launch.storage_uri == uri for r in self._groups.values()):
                self._store.forget(uri)

    def _report(self, key: RevisionKey) -> None:
        """Have the picture of *key* reported, once, after what is being done now."""
        if not self._changed:
            self._loop.call_soon(self._tell)
        self._changed[key] = None

    def _tell(self) -> None:
        failures, self._failures = self._failures, []
        changed, self._changed = self._changed, {}
        for key, failure in failures:
            self._sink.failed(key, failure)
        for key in changed:
            group = self._groups.get(key)
            self._sink.observed(
                key, group.picture(self._settings.host) if group else ()
            )

    def _wake_closer(self) -> None:
        busy = self._store.fetching or any(
            group.replicas for group in self._groups.values()
        )
        if self._closing and not busy:
            self._empty.set()

    def _kill_all(self) -> None:
        for group in self._groups.values():
            for each in group.replicas.values():
                if each.process:
                    each.process.kill()


def _inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a replica has of *environ*, as if fromzero's own venv were active.

    Programs installed beside fromzero are found after the user's own PATH.
    """
    kept = {k: v for k, v in environ.items() if not k.startswith("FROMZERO_")}
    # Else what it prints comes late, and after the traceback that it dies of.
    kept.setdefault("PYTHONUNBUFFERED", "1")
    beside = str(Path(sys.executable).parent)
    path = kept.get("PATH", "")
    if beside not in path.split(":"):
        kept["PATH"] = f"{path}:{beside}" if path else beside
    return kept
