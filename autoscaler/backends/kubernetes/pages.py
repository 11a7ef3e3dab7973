"""Where a pod may have its page of metrics."""

from __future__ import annotations

import re
from typing import NamedTuple

from autoscaler.backends.kubernetes.facts import Container, Pod

PORT = "prometheus.kserve.io/port"
PATH = "prometheus.kserve.io/path"

_SERVES = ("kserve-container", "transformer-container")
_SIDECARS = ("agent", "queue-proxy", "istio-proxy", "linkerd-proxy")
_PORT = 8080
"""Of a KServe server whose container names none."""
_PATH = re.compile(r"/[!-~]{0,255}")
_MOST = 8


class Place(NamedTuple):
    """A page's place at a pod's address."""

    port: int
    path: str


def places(pod: Pod) -> tuple[Place, ...]:
    """Return where to look, the likeliest first, always at a port of the pod's own.

    >>> from autoscaler.backends.kubernetes.facts import Meta
    >>> pod = Pod(meta=Meta(name="iris", annotations={PORT: "8002", PATH: "/m"}))
    >>> places(pod)[:2]
    (Place(port=8002, path='/m'), Place(port=8080, path='/metrics'))
    """
    said = pod.meta.annotations
    port, path = _port(said.get(PORT, "")), _path(said.get(PATH, ""))
    numbers = _numbers(pod) or [_PORT]
    found = [Place(port or numbers[0], path or "/metrics")] if port or path else []
    found += [Place(number, "/metrics") for number in numbers]
    # Triton, then TorchServe and MLServer, then trtllm-serve.
    found += [Place(8002, "/metrics"), Place(8082, "/metrics")]
    found += [Place(numbers[0], "/prometheus/metrics")]
    return tuple(dict.fromkeys(found))[:_MOST]


def _port(text: str) -> int:
    number = int(text) if re.fullmatch(r"[0-9]{1,5}", text) else 0
    return number if number < 65536 else 0


def _path(text: str) -> str:
    return text if _PATH.fullmatch(text) else ""


def _numbers(pod: Pod) -> list[int]:
    """Return the ports of the container that serves; at most three."""
    serving = _serving(pod.containers)
    ports = serving.ports if serving else ()
    return [number for _, number in ports if 0 < number < 65536][:3]


def _serving(containers: tuple[Container, ...]) -> Container | None:
    for name in _SERVES:
        for container in containers:
            if container.name == name:
                return container
    return next((each for each in containers if each.name not in _SIDECARS), None)
