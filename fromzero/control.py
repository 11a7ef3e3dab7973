"""One autoscaler of a cluster, wired: what is watched in, what is written out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from math import inf
from random import Random

from autoscaler.answers import Remark
from autoscaler.backends.kubernetes import overrides, reading, released
from autoscaler.backends.kubernetes.announcer import Announcer
from autoscaler.backends.kubernetes.api import Api
from autoscaler.backends.kubernetes.backend import KubernetesBackend
from autoscaler.backends.kubernetes.crew import SELECTOR, Crew
from autoscaler.backends.kubernetes.errands import Errands
from autoscaler.backends.kubernetes.facts import Meta, Pod
from autoscaler.backends.kubernetes.gauges import Gauges
from autoscaler.backends.kubernetes.hands import Hands
from autoscaler.backends.kubernetes.learned import Learned
from autoscaler.backends.kubernetes.lease import Candidate, Lease
from autoscaler.backends.kubernetes.loads import Loads, subject_of
from autoscaler.backends.kubernetes.managed import Finding, Managed, Reference
from autoscaler.backends.kubernetes.merge import REPORTER
from autoscaler.backends.kubernetes.metering import Metered, Metering
from autoscaler.backends.kubernetes.overseer import Overseer, no_stand_in
from autoscaler.backends.kubernetes.publisher import Front, Publisher
from autoscaler.backends.kubernetes.reflector import Reflector, Source
from autoscaler.backends.kubernetes.scaler import Scaler
from autoscaler.backends.kubernetes.slices import Body, is_ours
from autoscaler.backends.kubernetes.space import Settings as CensusSettings
from autoscaler.backends.kubernetes.store import Shelf, Store
from autoscaler.clock import monotonic
from autoscaler.core.commands import Scale, Tell
from autoscaler.core.domain import Budget, Metric, RevisionKey, StartFailure
from autoscaler.core.fleet import Fleet
from autoscaler.core.handshake import Keys
from autoscaler.core.messages import Gone, Ready, Sample
from autoscaler.events import Event, Observed
from autoscaler.link import LinkServer
from autoscaler.loop import Loop
from autoscaler.telemetry import Telemetry
from fromzero.admin import Admin
from fromzero.place import Place, Ports
from fromzero.registry import new_registry

_log = logging.getLogger(__name__)

LEASE = "fromzero-autoscaler"
_FINDS_S = 10.0
_uniform = Random().random  # When to try again: it decides nothing.
_REST_S = 0.01
"""Changes that come together are looked at together."""


class Control:
    """All of an autoscaler; made inside an event loop."""

    def __init__(
        self,
        api: Api,
        place: Place,
        settings: CensusSettings,
        secrets: Callable[[], Keys],
    ) -> None:
        self._api = api
        self._place = place
        self._registry = new_registry()
        self._telemetry = Telemetry(self._registry)
        fleet = Fleet(budget=Budget(), now=monotonic())
        self.loop = Loop(fleet, self._telemetry)
        self._telemetry.watch(self.loop.statuses)
        self._link = LinkServer(secrets, self.loop, self._registry)
        self._link.attach(self)
        self._loads = Loads(hear=self.loop.hear, view=fleet.view)
        self._crew = Crew(self._link, self._stir, self._loads.left)
        self._learned = Learned()
        self._overseer = Overseer(
            settings,
            say=self._say,
            route=self._link.reroute,
            standins=self._crew.standins,
            learned=self._learned.took,
        )
        self._store = Store(
            api,
            self._overseer.heard,
            self._overseer.space,
            _uniform,
            only=place.only,
        )
        self._lease = Lease(
            api,
            Candidate(namespace=place.namespace, name=LEASE, identity=place.name),
            self._stir,
            _uniform,
        )
        self._announcer = Announcer(api, place.name, _uniform)
        self._metering = Metering(api, self._metered, self.loop.usage)
        Gauges(
            self._registry,
            leading=lambda: self._leads[0],
            failing=lambda: self._store.failing,
            findings=lambda: self._overseer.findings,
            dropped=lambda: self._announcer.dropped,
        )
        self._maps: Shelf[tuple[Meta, Mapping[str, str]]] = Shelf(self._overridden)
        self._own = self._reflectors()
        self._backend: KubernetesBackend
        self._publishing: Errands[Front, tuple[Body, ...]]
        self._leads = (False, -1)
        self._noted: frozenset[RevisionKey] | None = None
        self._found_at = -inf
        self._known = asyncio.Event()
        """All that is managed was listed and counted."""

    async def run(self, ports: Ports, stop: asyncio.Event) -> None:
        """Watch, decide and write until *stop*; then give the Lease back."""
        admin = Admin(
            loop=self.loop,
            registry=self._registry,
            ready=lambda: self._why_not(stop),
            logs=lambda _: (),
            remarks=self.remarks,
            release=self.release,
            local=True,
        )
        async with self._api, asyncio.TaskGroup() as tasks:
            self._wire(tasks)
            working = [
                tasks.create_task(each)
                for each in (
                    admin.run(ports.admin),
                    self._store.run(),
                    self._loads.run(),
                    self._metering.run(),
                    self._announcer.run(stop),
                    self._link.run(ports.link, stop),
                    *(each.run() for each in self._own),
                    self._tend(),
                )
            ]
            await self._synced(stop)  # Before, nobody should wait for it.
            await self._lease.run(stop)
            self.loop.close()
            for each in working:
                each.cancel()

    # What the admin port asks.

    def remarks(self) -> tuple[Remark, ...]:
        """Return what a person should know."""
        return tuple(
            Remark(
                about=str(each.about),
                revision=each.key,
                reason=each.reason,
                message=each.message,
                blocks=each.blocks,
            )
            for each in self._overseer.findings
        )

    def release(self, key: RevisionKey) -> str:
        """Let go of *key*, until it was opted out and in again; or say why not."""
        if not self._leads[0]:
            return f"it does not lead, {self._lease.holder or 'nobody'} does"
        self._backend.release(key)
        self._note()
        return ""

    # What activators' links tell.

    def admits(self, name: str, address: str) -> bool:
        return self._crew.admits(name, address)

    def connected(self, name: str) -> None:
        self._stir()

    disconnected = leaving = connected

    def opened(self, name: str, key: RevisionKey) -> None:
        self._backend.look_at(key)

    # How it is wired.

    def _wire(self, tasks: asyncio.TaskGroup) -> None:
        publisher = Publisher(self._api, lambda front: self._store.slices(*front))
        self._publishing = Errands(publisher.publish, tasks, _uniform)
        scaler = Scaler(
            self._api,
            lambda key, replicas: self._backend.accepted(key, replicas),
            lambda key: self._backend.look_at(key),
            lambda key, reason: self._backend.refused(key, reason),
            tasks,
            _uniform,
            lambda: self._lease.left_s,
        )
        hands = Hands(
            cluster=self._overseer,
            scales=scaler,
            publish=self._publish,
            remark=self._failed,
            keeps=self._loads.keeps,
        )
        self._backend = KubernetesBackend(self.loop, hands)
        self.loop.attach(self._backend)
        self.loop.listen(self._backend.saw)
        self.loop.listen(self._saw)
        self.loop.join(REPORTER)
        self._overseer.attach(self._store, self._backend)
        self.loop.lead(leading=False)

    def _reflectors(
        self,
    ) -> tuple[Reflector[Pod], Reflector[tuple[Meta, Mapping[str, str]]]]:
        base = f"/api/v1/namespaces/{self._place.namespace}"
        pods = Source(
            path=f"{base}/pods", read=reading.pod, query={"labelSelector": SELECTOR}
        )
        maps = Source(
            path=f"{base}/configmaps",
            read=reading.config_map,
            query={"fieldSelector": f"metadata.name={overrides.NAME}"},
        )
        return (
            Reflector(self._api, pods, self._crew, _uniform),
            Reflector(self._api, maps, self._maps, _uniform),
        )

    async def _synced(self, stop: asyncio.Event) -> None:
        """Wait until all that is managed was listed and counted."""
        async with asyncio.TaskGroup() as waits:
            one = waits.create_task(self._known.wait())
            other = waits.create_task(stop.wait())
            await asyncio.wait((one, other), return_when=asyncio.FIRST_COMPLETED)
            one.cancel()
            other.cancel()

    def _why_not(self, stop: asyncio.Event) -> str:
        if stop.is_set():
            return "it is being stopped"
        return "" if self._known.is_set() else "what is managed has not been read yet"

    # What is done all the time.

    async def _tend(self) -> None:
        """Do what is due, as it becomes due."""
        while True:
            backend, overseer = self._backend, self._overseer
            self._lead()
            overseer.tend()
            backend.tend()
            self._note()
            if self._all_known():
                self._known.set()
            waits = self._crew.dismiss(self._listed)
            now = monotonic()
            if now >= self._found_at + _FINDS_S:
                self._found_at = now
                self._find()
            due = min(backend.wake_at, overseer.wake_at, self._found_at + _FINDS_S)
            if waits or not self._known.is_set():
                due = min(due, now + 0.2)
            try:
                async with asyncio.timeout(max(_REST_S, due - now)):
                    await backend.stirred.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(0)  # A burst of events is one look.

    def _all_known(self) -> bool:
        return (
            self._store.synced
            and all(each.synced for each in self._own)
            and self._overseer.counted
        )

    def _lead(self) -> None:
        """Take up or lay down leadership, once all is known."""
        now = (self._lease.leading and self._known.is_set(), self._lease.term)
        if now == self._leads:
            return
        self._leads = now
        leading, term = now
        self._noted = None
        for key in released.read(self._lease.annotations) if leading else ():
            if self._overseer.manages(key):
                self._backend.release(key)
        self._publishing.abandon_all()  # Another's to write, or looked at anew.
        self._backend.lead(leading=leading)
        self._link.lead(leading=leading, term=term)
        for each in self._overseer.findings if leading else ():
            self._say(each)

    def _note(self) -> None:
        """Keep on the Lease what was let go by hand, so that no successor takes it."""
        if self._leads[0] and self._backend.released != self._noted:
            self._noted = now = self._backend.released
            try:
                self._lease.annotate(released.ANNOTATION, released.written(now))
            except ValueError as error:
                _log.error("what was released is not kept reason=%s", error)

    def _find(self) -> None:
        self._overseer.look_round()
        for key in tuple(self._backend.keys):
            self._watch(key)
            managed, refusal = self._backend.managed(key), self._crew.refusal(key)
            finding = self._loads.finding(key)
            if finding is None and refusal and managed is not None:
                finding = no_stand_in(managed, refusal)
            self._overseer.found(key, finding)

    def _publish(
        self, key: RevisionKey, service: str, wanted: tuple[Body, ...]
    ) -> None:
        self._publishing.want((key.namespace, service), wanted)

    def _listed(self, address: str) -> bool:
        """Say whether a slice of ours leads clients to *address*."""
        return any(
            is_ours(slice_)
            and any(each.address == address for each in slice_.endpoints)
            for space in self._store.spaces.values()
            for its in space.slices.values()
            for slice_ in its.values()
        )

    def _saw(self, event: Event) -> None:
        now = monotonic()
        match event:
            case Sample():
                self._loads.heard(event)
            case Observed(key=key):
                self._watch(key)
                if any(each.ready for each in event.replicas):
                    self._learned.ready(key, now)
            case Ready(key=key):
                self._learned.ready(key, now)
            case Scale(key=key, replicas=replicas):
                ready = self.loop.status(key).ready
                self._learned.ordered(key, replicas, ready, now)
            case Tell(message=Gone(key=key)):
                self._loads.forget(key)
                self._learned.forget(key)
                self._overseer.found(key, None)
            case _:
                pass

    def _metered(self) -> Iterator[Metered]:
        """Yield who scales by what pods use, and the pods that serve it."""
        for key in self._backend.keys:
            managed = self._backend.managed(key)
            metric = managed.spec.scaling.metric if managed else None
            if metric is Metric.CPU or metric is Metric.MEMORY:
                pods = (each for each in self._store.pods(*key) if each.ready)
                yield key, metric, tuple(pods)

    def _watch(self, key: RevisionKey) -> None:
        """Have the load of *key* be read where its replicas are now."""
        managed = self._backend.managed(key)
        if managed is not None:
            service = self._store.service(key.namespace, managed.service)
            pods, shown = self._store.pods(*key), self._backend.shown(key)
            self._loads.watch(key, subject_of(managed, service, pods, shown))

    def _overridden(
        self, _was: object, now: tuple[Meta, Mapping[str, str]] | None
    ) -> None:
        about = Reference(
            api_version="v1",
            kind="ConfigMap",
            namespace=self._place.namespace,
            name=overrides.NAME,
            uid=now[0].uid if now else "",
        )
        self._overseer.override(dict(now[1]) if now else {}, about)

    def _failed(self, managed: Managed, failure: StartFailure) -> None:
        again = "" if failure.final else "; the kubelet tries again"
        self._say(
            Finding(
                about=managed.owner,
                key=managed.key,
                reason="StartFailed",
                message=f"{managed.key.name}: {failure.reason}{again}",
            )
        )

    def _say(self, finding: Finding) -> None:
        if self._leads[0]:
            self._announcer.say(
                finding.about, finding.reason, finding.message, warning=finding.warning
            )

    def _stir(self) -> None:
        self._backend.look_at_all()
