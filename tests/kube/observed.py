"""What an installation did: rights that it used, connections that were opened, pods."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import yaml

from tests.kube import audit
from tests.kube.admin import Refused
from tests.kube.audit import Grant, Used
from tests.kube.cluster import Cluster
from tests.kube.flows import Flow, Flows
from tests.kube.installed import home_of, rendered
from tests.kube.policies import Pod, Rule, World, judge, rules

LOOKS_S = 0.5
OURS = {"app.kubernetes.io/name": "fromzero"}


class Observed:
    """Looks on while scenes play; what it says is of all of them."""

    def __init__(self, cluster: Cluster, overlay: str, flows: Flows) -> None:
        self.cluster = cluster
        text = rendered(overlay)
        self.documents = [each for each in yaml.safe_load_all(text) if each]
        self.home = home_of(text)
        self.world = World()
        self._flows = flows

    def look(self) -> None:
        """Learn the addresses of the pods that are there; none is ever another's."""
        admin = self.cluster.admin
        for each in admin.get("/api/v1/namespaces")["items"]:
            meta = each["metadata"]
            # A label that is taken away was there when something was asked.
            before = self.world.namespaces.get(meta["name"], {})
            self.world.namespaces[meta["name"]] = {**before, **meta["labels"]}
        for each in admin.get("/api/v1/pods")["items"]:
            meta = each["metadata"]
            for address in each["status"].get("podIPs") or ():
                pod = Pod(meta["namespace"], meta.get("labels") or {})
                self.world.pods[address["ip"]] = pod

    def rights(self, account: str) -> tuple[Used, list[Grant]]:
        """Return what an account of ours did, and what it was given."""
        name = f"{self.home}:{account}"
        found = audit.used(audit.lines(self.cluster.audit_log))
        return found.get(name, Used()), audit.grants(self.documents, name)

    def policies(self) -> list[Mapping[str, Any]]:
        return [each for each in self.documents if each["kind"] == "NetworkPolicy"]

    def every(self) -> set[Rule]:
        """Return every port of every rule of the policies."""
        return set(rules(self.policies()))

    def judged(self) -> tuple[set[Rule], dict[Flow, tuple[str, ...]]]:
        """Return the rules that were needed, and who was refused what."""
        used: set[Rule] = set()
        refused: dict[Flow, tuple[str, ...]] = {}
        for flow in set(self._flows.seen):
            if not (self._ours(flow.source) or self._ours(flow.target)):
                continue
            if self._probes(flow):
                continue
            found = judge(self.policies(), self.world, flow)
            used |= found.used
            if found.refused:
                refused[flow] = found.refused
        return used, refused

    def _ours(self, address: str) -> bool:
        pod = self.world.pods.get(address)
        return pod is not None and OURS.items() <= pod.labels.items()

    def _probes(self, flow: Flow) -> bool:
        """Say whether a kubelet asks: every implementation lets a pod's node in."""
        return flow.source not in self.world.pods and flow.port == 9090


@contextmanager
def observed(cluster: Cluster, overlay: str) -> Iterator[Observed]:
    """Look on from now, before *overlay* is installed, until the block ends."""
    over = threading.Event()
    with Flows(cluster.network) as flows:
        found = Observed(cluster, overlay, flows)

        def look_on() -> None:
            while not over.wait(LOOKS_S):
                try:
                    found.look()
                except (OSError, Refused):
                    continue

        thread = threading.Thread(target=look_on)
        thread.start()
        try:
            yield found
        finally:
            over.set()
            thread.join()
