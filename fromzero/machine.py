"""One machine, wired: documents in, requests served, replicas as processes.

`up`, the demo and the tests all build it here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from activator.files import raise_limit
from activator.server import Activator
from activator.watcher import Finished
from autoscaler.backends.local import LocalBackend, LocalSettings
from autoscaler.backends.storage import StorageSettings
from autoscaler.clock import monotonic
from autoscaler.core.domain import RevisionKey
from autoscaler.core.fleet import Fleet
from autoscaler.errors import BadInput
from autoscaler.events import Event
from autoscaler.kserve import Plan
from autoscaler.loop import Decider, Loop
from autoscaler.notes import Level, Note
from autoscaler.recording import RecordedFleet
from autoscaler.telemetry import Telemetry
from fromzero.admin import Admin
from fromzero.changes import Change, Changes, Scaled
from fromzero.config import Settings
from fromzero.doors import Doors
from fromzero.gauge import gauge
from fromzero.records import NO_FILES, Files, Recorder
from fromzero.registry import new_registry
from fromzero.rollover import Rollover
from fromzero.source import Source
from fromzero.watch import watch

_log = logging.getLogger(__name__)


def logged(change: Change) -> None:
    """Write *change* as a log line."""
    # The loop has logged a command to scale with all that it says.
    if not isinstance(change, Scaled):
        _log.info("%s", change)


class Machine:
    """Everything that serves a source's documents; made inside an event loop."""

    def __init__(
        self,
        source: Source,
        settings: Settings,
        environ: Mapping[str, str],
        files: Files = NO_FILES,
        tell: Callable[[Change], None] = logged,
    ) -> None:
        self._source = source
        self._recorder = None if files.trace is None else Recorder(files.trace)
        self._registry = new_registry()
        self._telemetry = Telemetry(self._registry)
        self.loop = Loop(_fleet(settings, files), self._telemetry)
        self.reload = asyncio.Event()
        """Set it to have the documents read again."""
        self._telemetry.watch(self.loop.statuses)
        self._backend = LocalBackend(self.loop, _local(settings, environ))
        self.loop.attach(self._backend)
        self._activator = Activator(
            replace(settings.served, want_tail=files.trace is not None),
            self.loop.hear,
            self._registry,
            self,
            log=files.access,
        )
        self._rollover = Rollover(
            self.loop, self._activator.reroute, settings.patience_s
        )
        self.loop.listen(Changes(self.loop.status, tell).saw)

    async def run(self, doors: Doors, stop: asyncio.Event) -> None:
        """Serve until *stop* is set, then drain and stop all replicas with grace.

        Cancelled: nothing is waited for.
        """
        plan = self._source.served
        _say(plan.notes)
        self.loop.listen(self._saw)
        admin = Admin(
            loop=self.loop,
            registry=self._registry,
            ready=lambda: "it is being stopped" if stop.is_set() else "",
            logs=self._backend.logs,
        )
        async with self._backend:
            try:
                # Not before the backend is there: replicas have what we had till now.
                raise_limit()
                self._apply(plan)
                self.loop.join(self._activator.name, self._activator.down)
                async with asyncio.TaskGroup() as group:
                    others = [
                        group.create_task(admin.run(doors.admin)),
                        group.create_task(
                            watch(lambda: self._source.seen, self._reread, self.reload)
                        ),
                        group.create_task(
                            gauge(
                                lambda: self._rollover.there,
                                self._backend.used,
                                self.loop.usage,
                            )
                        ),
                    ]
                    _log.info(
                        "serving address=%s admin=%s revisions=%d",
                        doors.activator, doors.administration, len(plan.wanted),
                    )  # fmt: skip
                    await self._activator.run([doors.data], stop)
                    for each in others:
                        each.cancel()
            finally:
                # What ends from here on is no failure that anybody should act upon.
                self.loop.close()

    def connected(self, key: RevisionKey) -> None:
        """Measure a cold start: a replica's port is open."""
        self._telemetry.connected(key)

    def answered(self, key: RevisionKey, at: float) -> None:
        """Measure a cold start: the first byte went out."""
        self._telemetry.answered(key, at)

    def finished(self, request: Finished) -> None:
        """Record a request."""
        if self._recorder is not None:
            self._recorder.finished(request)

    async def _reread(self) -> None:
        """Make the documents of now true; bad ones change nothing and say why."""
        try:
            # In a thread: a hundred files take a while, and requests go on.
            plan = await asyncio.to_thread(self._source.read)
            before = self._source.served
            if (plan.wanted, plan.routes) == (before.wanted, before.routes):
                self._telemetry.reloaded("unchanged")
                return
            self._source.keep(plan)
        except BadInput as error:
            for problem in error.problems:
                _log.error('documents refused problem="%s"', problem)
            self._telemetry.reloaded("refused")
            return
        except Exception:
            _log.exception("documents refused")
            self._telemetry.reloaded("refused")
            return
        _say(plan.notes)
        self._apply(plan)
        self._telemetry.reloaded("applied")
        _log.info("documents applied revisions=%d", len(plan.wanted))

    def _apply(self, plan: Plan) -> None:
        self._rollover.apply(plan.wanted, plan.routes, monotonic())

    def _saw(self, event: Event) -> None:
        self._rollover.saw(event, monotonic())


def _fleet(settings: Settings, files: Files) -> Decider:
    now = monotonic()
    if files.decisions is None:
        return Fleet(budget=settings.budget, now=now)
    return RecordedFleet(files.decisions, budget=settings.budget, now=now)


def _local(settings: Settings, environ: Mapping[str, str]) -> LocalSettings:
    storage = StorageSettings(
        cache=settings.cache_dir, environ=environ, volumes=settings.pvc_root
    )
    return LocalSettings(environ=environ, storage=storage, gpus=settings.gpus)


def _say(notes: tuple[Note, ...]) -> None:
    for each in notes:
        level = logging.INFO if each.level is Level.NOTE else logging.WARNING
        of = f"{each.service}: " if each.service else ""
        _log.log(level, "%s%s", of, each)
