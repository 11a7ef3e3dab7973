"""A Deployment, its ReplicaSet's and EndpointSlice's controllers, as facts in memory.

With a real Fleet and a real backend around it, in virtual time: what the API server,
the kubelet and the activators do is done by the test's own steps.
"""

from __future__ import annotations

from dataclasses import replace

from autoscaler.backends.kubernetes.allotment import Allotment
from autoscaler.backends.kubernetes.backend import KubernetesBackend
from autoscaler.backends.kubernetes.facts import (
    Condition,
    Container,
    Deployment,
    Meta,
    Owner,
    Pod,
    Service,
    ServicePort,
    Slice,
    SliceEndpoint,
)
from autoscaler.backends.kubernetes.hands import Hands
from autoscaler.backends.kubernetes.managed import Door, Managed, Reference
from autoscaler.backends.kubernetes.slices import CONTROLLER, MANAGED_BY, Standin
from autoscaler.backends.kubernetes.tended import Seen
from autoscaler.core.commands import Decided, Scale, Tell
from autoscaler.core.domain import (
    Budget,
    Needs,
    RevisionKey,
    RevisionSpec,
    ScalingSpec,
    StartFailure,
)
from autoscaler.core.fleet import Fleet
from autoscaler.core.messages import Drained, Sample, View, Wake

KEY = RevisionKey("production", "iris-predictor")
SLEEPY = ScalingSpec(
    total_value=10.0, min_replicas=0, max_replicas=4, initial_scale=1, grace_s=30.0
)
MANAGED = Managed(
    key=KEY,
    spec=RevisionSpec(scaling=SLEEPY, needs=Needs(gpus=1)),
    service=KEY.name,
    service_uid="s-1",
    doors=(Door(name="http", port=80, target=8080),),
    owner=Reference(
        api_version="serving.kserve.io/v1beta1",
        kind="InferenceService",
        namespace=KEY.namespace,
        name="iris",
    ),
    isvc="iris",
)
HASH = "6c9f"
NEEDS = Needs(gpus=1)


class Town:
    """One revision in a cluster, and an activator that has acknowledged it."""

    def __init__(self, *, replicas: int = 1, managed: Managed = MANAGED) -> None:
        self.now = 0.0
        self.replicas = replicas
        self.version = 1
        self.pods: dict[str, Pod] = {}
        self.ours: tuple[Slice, ...] = ()
        self.born = 0
        self.load = 0
        self.activators: tuple[str, ...] = ("activator-1",)
        self.view: View | None = None
        self.wished: list[int] = []
        self.dropped = 0
        self.refused = 0
        """Counts that the API server will refuse."""
        self.there = True
        self.keeps = ""
        self.remarked: list[StartFailure] = []
        self.gpus = None
        """How many a cluster has; each pod wants one."""
        self.managed = managed
        self.fleet = Fleet(budget=Budget(), now=0.0)
        self.fleet.joined("activator-1", 0.0)
        hands = Hands(
            cluster=self,
            scales=self,
            publish=self.publish,
            remark=lambda managed, failure: self.remarked.append(failure),
            keeps=lambda key: self.keeps,
            allotment=Allotment(),
        )
        self.backend = KubernetesBackend(self, hands, clock=lambda: self.now)

    # What the backend asks of the loop.

    def configure(self, key, spec):
        self.fleet.configure(key, spec, self.now)
        self._obey()

    def remove(self, key):
        self.fleet.remove(key, self.now)
        self._obey()

    def observed(self, key, replicas):
        self.fleet.observe(key, replicas, self.now)
        self._obey()

    def failed(self, key, failure):
        self.fleet.failed(key, failure, self.now)
        self._obey()

    def standing(self, key, *, aside, keeps, awaits):
        self.fleet.standing(key, self.now, aside=aside, keeps=keeps, awaits=awaits)
        self._obey()

    def order(self, key, order):
        self.fleet.order(key, order, self.now)
        self._obey()

    def lead(self, *, leading):
        self.fleet.lead(leading=leading, now=self.now)
        self._obey()

    def rebudget(self, budget):
        self.fleet.rebudget(budget, self.now)
        self._obey()

    def status(self, key):
        return self.fleet.status(key)

    def _obey(self):
        for command in self.fleet.take():
            match command:
                case Scale(key=key, replicas=count, stop=stop):
                    self.backend.scale(key, count, stop)
                case Tell(message=View() as view):
                    self.view = view
                case Tell():
                    self.view = None
                case Decided():
                    self.backend.saw(command)

    # What the backend asks of the cluster.

    def seen(self, managed: Managed) -> Seen | None:
        if not self.there:
            return None
        return Seen(
            deployment=Deployment(
                meta=Meta(
                    namespace=KEY.namespace,
                    name=KEY.name,
                    resource_version=str(self.version),
                ),
                replicas=self.replicas,
                selector={"app": "iris"},
                containers=(Container(name="kserve-container"),),
            ),
            service=Service(
                meta=Meta(namespace=KEY.namespace, name=KEY.name, uid="s-1"),
                selector={"app": "iris"},
                ports=(ServicePort(name="http", port=80, target=8080),),
            ),
            pods=tuple(self.pods.values()),
            slices=(self.theirs(), *self.ours),
        )

    def exists(self, key: RevisionKey) -> bool:
        return self.there

    def standins(self, key: RevisionKey, entrances) -> tuple[Standin, ...]:
        return tuple(Standin(name=each, ips=("10.0.0.9",)) for each in self.activators)

    def want(self, key, replicas, *, expected_version, costs):
        self.wished.append(replicas)
        if self.refused:
            self.refused -= 1
            return
        if expected_version is not None and expected_version != str(self.version):
            self.backend.look_at(key)
            return
        self.replicas = replicas
        self.version += 1
        self.costs = costs
        self.backend.accepted(key, replicas)
        self.backend.look_at(key)

    def wake(self, key, expected_version):
        self.want(key, 1, expected_version=expected_version, costs=())

    def settled(self, key, replicas):
        pass

    def drop(self, key):
        self.dropped += 1

    def forget(self, key):
        self.drop(key)

    def publish(self, key, service, bodies):
        self.ours = tuple(
            Slice(
                meta=Meta(
                    namespace=KEY.namespace,
                    name=body["metadata"]["name"],
                    labels=body["metadata"]["labels"],
                ),
                service=service,
                managed_by=MANAGED_BY,
                ports=tuple((port["name"], port["port"]) for port in body["ports"]),
                endpoints=tuple(
                    SliceEndpoint(address=address)
                    for each in body["endpoints"]
                    for address in each["addresses"]
                ),
            )
            for body in bodies
        )
        self.backend.recorded(KEY, self.ours)
        self.backend.look_at(key)

    # What controllers and kubelets do.

    def theirs(self) -> Slice:
        ready = [
            pod for pod in self.pods.values() if pod.ready and not pod.meta.deleting
        ]
        return Slice(
            meta=Meta(namespace=KEY.namespace, name="iris-x"),
            service=KEY.name,
            managed_by=CONTROLLER,
            ports=(("http", 8080),) if ready else (),
            endpoints=tuple(SliceEndpoint(address=pod.ips[0]) for pod in ready),
        )

    def _place(self, pod: Pod) -> Pod:
        """Play the scheduler, for a pod that wants a GPU."""
        if self.gpus is None or pod.node:
            return pod
        if sum(bool(each.node) for each in self.pods.values()) < self.gpus:
            return replace(pod, node="node-1", conditions=())
        words = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
        unplaced = Condition(
            type="PodScheduled", status="False", reason="Unschedulable", message=words
        )
        return replace(pod, conditions=(unplaced,), ips=())

    def control(self, *, pick=None, ready: bool = True) -> None:
        """Have as many pods as asked for; *pick* chooses who goes, as it likes."""
        while len(self.pods) > self.replicas:
            names = list(self.pods)
            pending = [n for n in names if self.gpus and not self.pods[n].node]
            gone = pending[-1] if pending else pick(names) if pick else names[-1]
            del self.pods[gone]
        while len(self.pods) < self.replicas:
            self.born += 1
            name = f"{KEY.name}-{HASH}-{self.born}"
            self.pods[name] = Pod(
                meta=Meta(
                    namespace=KEY.namespace,
                    name=name,
                    uid=f"u-{self.born}",
                    labels={"app": "iris", "pod-template-hash": HASH},
                    owner=Owner("ReplicaSet", f"{KEY.name}-{HASH}", "r-1"),
                    created=float(self.born),
                ),
                containers=(Container(name="kserve-container", needs=NEEDS),),
                ips=(f"10.0.1.{self.born % 250 + 1}",),
            )
        for name, pod in self.pods.items():
            self.pods[name] = self._place(pod)
        if ready:
            for name, pod in self.pods.items():
                if self.gpus is not None and not pod.node:
                    continue
                up = (Condition(type="Ready", status="True"),)
                self.pods[name] = replace(pod, conditions=up)
        self.backend.look_at(KEY)

    # Time.

    def count(self, *managed: Managed) -> None:
        self.backend.counted(KEY.namespace, managed)
        self.settle()

    def settle(self) -> None:
        """Let everything that is due now happen."""
        for _ in range(50):
            due = self.fleet.wake_at <= self.now
            if due:
                self.fleet.advance(self.now)
                self._obey()
            tend = self.backend.stirred.is_set() or self.backend.wake_at <= self.now
            if tend:
                self.backend.tend()
            if not (due or tend):
                return
        raise AssertionError("it never comes to rest")

    def sample(self) -> None:
        """Have the activator report, and drain what it is told to drain."""
        view = self.view
        if view is None:
            return
        for each in view.addresses:
            if each.draining:
                drained = Drained(key=KEY, reporter="activator-1", replica=each.replica)
                self.fleet.hear(drained, self.now)
                self._obey()
        serving = [each for each in view.addresses if not each.draining]
        if not (serving or self.load):
            return
        held = 0 if serving else self.load
        self.fleet.hear(
            Sample(
                key=KEY, reporter="activator-1", span_s=1.0,
                concurrency=float(self.load), requests=self.load, held=held,
                in_flight=self.load - held, epoch=view.epoch, version=view.version,
            ),
            self.now,
        )  # fmt: skip
        self._obey()
        if held:
            wake = Wake(key=KEY, reporter="activator-1", epoch=view.epoch, held=held)
            self.fleet.hear(wake, self.now)
            self._obey()

    def run(self, seconds: int, *, pick=None, ready: bool = True) -> None:
        for _ in range(seconds):
            self.now += 1.0
            self.sample()
            self.settle()
            self.control(pick=pick, ready=ready)
            self.settle()
