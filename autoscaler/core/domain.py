"""The facts that every part speaks of: revisions, settings, samples, decisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class RevisionKey(NamedTuple):
    """Name the thing that is scaled.

    >>> str(RevisionKey("production", "iris-predictor"))
    'production/iris-predictor'
    """

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Metric(StrEnum):
    """What is counted as load."""

    CONCURRENCY = "concurrency"
    RPS = "rps"
    CPU = "cpu"
    MEMORY = "memory"


class Aggregation(StrEnum):
    """How the seconds of a window become one number."""

    LINEAR = "linear"
    WEIGHTED = "weighted-exponential"


class Mode(StrEnum):
    """Which window a decision listened to."""

    STABLE = "stable"
    PANIC = "panic"


class Balance(StrEnum):
    """How an endpoint is chosen among those with a free slot, where no key chooses."""

    AUTO = "auto"
    """First free for a container concurrency of 1 to 3, else least loaded of two."""
    LEAST_OF_TWO = "least-of-two"
    FIRST_FREE = "first-free"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingSpec:
    """Settings of one revision's scaling; ranges are checked where they are read.

    Names and defaults are Knative's (config-autoscaler) where Knative has the setting.
    """

    metric: Metric = Metric.CONCURRENCY
    total_value: float = 100.0
    """Load a replica can take: requests in flight, requests/s, or % of the request."""
    target_utilization: float = 0.7
    """Share of total_value to aim at, in (0, 1]; leaves head-room for a burst."""
    min_replicas: int = 1
    """0: may sleep."""
    max_replicas: int = 1
    """0: no bound."""
    initial_scale: int = 1
    """Replicas of a new revision before its first decision; 0: born asleep."""
    activation_scale: int = 1
    """Replicas at least, whenever there are any by load."""
    stable_window_s: int = 60
    panic_window_percentage: float = 10.0
    panic_threshold: float = 2.0
    """Panic begins when wanted / ready reaches this ratio."""
    panic: bool = True
    """Off: the panic window is never listened to (fewer starts for slow loaders)."""
    count_starting: bool = False
    """Count starting replicas as ready in the panic ratio."""
    aggregation: Aggregation = Aggregation.LINEAR
    max_scale_up_rate: float = 1000.0
    max_scale_down_rate: float = 2.0
    scale_down_delay_s: int = 0
    target_burst_capacity: float = 211.0
    """-1: activator always in path; 0: only at zero; else spare requests to keep."""
    scale_to_zero: bool = True
    grace_s: float = 30.0
    """Time between the decision for zero and zero (Knative's grace period)."""
    retention_s: float = 0.0
    """Time that the last replica is kept after the decision for zero."""
    progress_deadline_s: float = 600.0
    """A start that is not ready by then has failed."""
    reachable: bool = True

    @property
    def target_value(self) -> float:
        """Load per replica that scaling aims at."""
        return max(0.01, self.total_value * self.target_utilization)

    @property
    def panic_window_s(self) -> int:
        """Length of the panic window: whole seconds, at least one, halves up."""
        return max(
            1, int(self.stable_window_s * self.panic_window_percentage / 100 + 0.5)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSpec:
    """Settings of one revision's gate in the activator."""

    container_concurrency: int = 0
    """Requests a replica may have at once; 0: no limit."""
    max_held: int = 1000
    """Requests held at most."""
    max_held_bytes: int = 64 << 20
    """Bytes of bodies held at most."""
    hold_limit_s: float = 300.0
    """A request is held no longer than this, then 503."""
    timeout_s: float = 0.0
    """Whole-request limit from dispatch; 0: none."""
    balance: str = Balance.AUTO
    """A Balance, or the key that `affinity` reads of it."""
    slow_start_s: float = 0.0
    """Time in which a fresh replica comes to its full share of requests; 0: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What one replica takes of a machine."""

    memory: int = 0
    """Bytes; 0: not declared, counts as nothing."""
    gpus: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a machine has for replicas; None: not limited."""

    memory: int | None = None
    gpus: int | None = None
    patience_s: float = 60.0
    """A start that waited this long for room makes a busy revision finish and go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How an activator asks a replica whether its model is ready."""

    path: str = ""
    """HTTP GET; 2xx is ready. Empty: a TCP connection is enough."""
    host: str = ""
    """Host header; empty: the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """A port of an activator's that stands in for one port of a revision's Service."""

    port: int
    """The activator's."""
    name: str = ""
    """The Service port's; it names the port of a replica in `ports`."""
    tunnel: bool = False
    """Held, then passed on byte by byte: h2c and gRPC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionSpec:
    """All settings of a revision, as the Fleet is configured with them."""

    scaling: ScalingSpec = field(default_factory=ScalingSpec)
    gate: GateSpec = field(default_factory=GateSpec)
    needs: Needs = field(default_factory=Needs)
    probe: Probe = field(default_factory=Probe)
    together: tuple[RevisionKey, ...] = ()
    """Revisions woken when this one is (a transformer wakes its predictor)."""
    entrances: tuple[Entrance, ...] = ()
    """Ports of their own at which activators serve it, whatever a request says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One replica as a backend sees it; its pictures are complete for a revision."""

    id: str
    """Unique for ever within the revision."""
    host: str = ""
    port: int = 0
    """0: no address yet."""
    ports: tuple[tuple[str, int], ...] = ()
    """Its other ports, by the names of the Service's ports."""
    ready: bool = False
    """The backend's own word; an activator's probe may say so earlier (`Ready`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFailure:
    """A start that did not come to be ready."""

    reason: str
    """One line for a person: "exit status 1: ModuleNotFoundError: …"."""
    final: bool
    """True: trying again at once cannot help, so held requests are refused now."""
    replica: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How requests find revisions; one for each component that can be addressed."""

    namespace: str
    service: str
    """Name of the InferenceService."""
    component: str = ""
    """"" for the service's own entrance, else predictor, transformer or explainer."""
    hosts: tuple[str, ...] = ()
    """Lower case, without a port."""
    models: tuple[str, ...] = ()
    """Values of the OpenAI `model` field that mean this service."""
    backends: tuple[tuple[RevisionKey, float], ...] = ()
    """Revisions and their weights, which sum to 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one decision looks at."""

    stable: float
    """Mean load over the stable window."""
    panic: float
    """Mean load over the panic window."""
    ready: int
    starting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What load alone asks for, before any bound, and why."""

    desired: int
    mode: Mode
    reason: str
    excess_burst_capacity: int = 0
