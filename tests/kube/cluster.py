"""A real Kubernetes without nodes, in a network of its own: etcd, the API server with
RBAC, pod security and an audit log, the controllers that tests need, and the scheduler.

Nothing of it is reachable from the machine's own network: go :meth:`Cluster.inside`.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from tests.kube import assets
from tests.kube.admin import Admin, Refused
from tests.kube.configs import (
    API,
    POLICY,
    SERVICES,
    SERVICES6,
    certificate,
    kubeconfig,
    token_of,
    tokens,
)
from tests.kube.network import GATEWAY, Network, refused
from tests.kube.parts import Part

CRDS = Path(__file__).with_name("crds.yaml")
FULL = Path(__file__).parents[3] / "shared" / "kserve"
"""KServe's own CRDs, beside the checkout where somebody has put them."""

CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "disruption-controller",
    "validatingadmissionpolicy-status-controller",
)
PREFIX = "fromzero-kube-"
PATIENCE_S = 60.0
Answer = TypeVar("Answer")


def unable() -> str:
    """Say why no cluster can run here, or nothing."""
    if missing := assets.missing():
        return f"{assets.HOW}: {', '.join(missing)} missing"
    for tool in ("openssl", "ip", "setpriv", "unshare"):
        if shutil.which(tool) is None:
            return f"{tool} is missing"
    return refused()


def sweep() -> None:
    """Remove the folders of runs that were killed before they could."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        owner = path.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            shutil.rmtree(path, ignore_errors=True)


def eventually(
    what: str, look: Callable[[], Answer], patience_s: float = PATIENCE_S
) -> Answer:
    """Ask *look* until its answer is true, and return it; an error counts as no."""
    until = time.monotonic() + patience_s
    last: object = None
    while time.monotonic() < until:
        try:
            if last := look():
                return last
        except (OSError, Refused) as error:
            last = error
        time.sleep(0.05)
    raise TimeoutError(f"not in {patience_s:g} s: {what}; at last {last!r}")


class Cluster:
    """Start it with ``with``; all that it starts ends with it."""

    url = f"https://{API}:443"
    """Where the API server is for everybody inside: its Service's own address."""

    def __enter__(self) -> Self:
        sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self.folder.chmod(0o755)
        self.ca, self._key = certificate(self.folder)
        self.network = Network(f"{API}/32")
        self.audit_log = self.folder / "audit.jsonl"
        self._numbers = itertools.count(1)
        self.admin = self.user("admin")
        self._parts = self._programs()
        try:
            with self.inside():
                self._parts["etcd"].start()
                self.start_api()
                self._parts["controllers"].start()
                self._parts["scheduler"].start()
                self.apply(CRDS.read_text())
                self._established()
                self._accounts("default")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for part in reversed(self._parts.values()):
            part.stop(kill=True)
        self.network.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Put this thread where the API server and the pods are."""
        with self.network.inside():
            yield

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def _programs(self) -> dict[str, Part]:
        """Say how each is run, in the order of their starts."""
        ca, key = str(self.ca), str(self._key)
        return {
            "etcd": self._part(
                "etcd",
                "etcd",
                f"--data-dir={self.folder / 'etcd'}",
                "--unsafe-no-fsync",
                "--listen-client-urls=http://127.0.0.1:2379",
                "--advertise-client-urls=http://127.0.0.1:2379",
                "--listen-peer-urls=http://127.0.0.1:2380",
            ),
            "api": self._part(
                "api",
                "kube-apiserver",
                "--etcd-servers=http://127.0.0.1:2379",
                "--bind-address=::",
                "--secure-port=443",
                f"--advertise-address={GATEWAY}",
                f"--tls-cert-file={ca}",
                f"--tls-private-key-file={key}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={ca}",
                f"--service-account-signing-key-file={key}",
                f"--service-cluster-ip-range={SERVICES},{SERVICES6}",
                f"--token-auth-file={self._write('tokens.csv', tokens())}",
                "--authorization-mode=RBAC",
                f"--audit-policy-file={self._write('policy.yaml', POLICY)}",
                f"--audit-log-path={self.audit_log}",
                "--audit-log-maxsize=0",
                # Nodes are what the hollow kubelet says that they are.
                "--disable-admission-plugins=TaintNodesByCondition",
                "--max-requests-inflight=2000",
                "--max-mutating-requests-inflight=1000",
                "--profiling=false",
            ),
            "controllers": self._part(
                "controllers",
                "kube-controller-manager",
                f"--kubeconfig={self.kubeconfig('controllers')}",
                f"--controllers={','.join(CONTROLLERS)}",
                f"--service-account-private-key-file={key}",
                f"--root-ca-file={ca}",
                "--leader-elect=false",
                "--secure-port=0",
                "--kube-api-qps=2000",
                "--kube-api-burst=4000",
            ),
            "scheduler": self._part(
                "scheduler",
                "kube-scheduler",
                f"--config={self._write('scheduler.json', self._scheduling())}",
                "--secure-port=0",
            ),
        }

    def _part(self, name: str, program: str, *flags: str) -> Part:
        found = assets.find(program)
        assert found, f"{assets.HOW}: {program}"
        # etcd of Debian refuses to run on some architectures unless it is told to.
        unsupported = {"ETCD_UNSUPPORTED_ARCH": "arm64"}
        more = unsupported if os.uname().machine == "aarch64" else {}
        return Part([str(found), *flags], self.folder / f"{name}.log", **more)

    def _scheduling(self) -> str:
        config = {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "leaderElection": {"leaderElect": False},
            "clientConnection": {
                "kubeconfig": str(self.kubeconfig("scheduler")),
                "qps": 1000,
                "burst": 2000,
            },
        }
        return json.dumps(config)

    def start_api(self) -> None:
        """Start the API server, also again after :meth:`stop_api`, until it is ready.

        The controllers begin anew with it, as where their own lease runs out: else they
        would back off for up to a minute more.
        """
        api = self._parts["api"]
        with self.inside():
            api.start()
            try:
                eventually("the API server's /readyz", self._ready)
            except (TimeoutError, RuntimeError) as error:
                raise RuntimeError(f"{error}\n{api.tail()}") from error
            for part in map(self._parts.__getitem__, ("controllers", "scheduler")):
                if part.running:
                    part.stop(kill=True)
                    part.start()

    def _ready(self) -> bool:
        if not self._parts["api"].running:
            raise RuntimeError("the API server ended")
        return bool(self.admin.get("/readyz")["text"] == "ok")

    def stop_api(self, kill: bool = True) -> None:
        """End the API server, as a crash does or politely; what it knew is in etcd."""
        self._parts["api"].stop(kill=kill)

    def log(self, part: str) -> str:
        """Return what *part* last wrote: etcd, api, controllers or scheduler."""
        return self._parts[part].tail(200)

    def user(self, name: str) -> Admin:
        """Return the way to the API server of one of ADMINS."""
        return Admin(self.network, API, self.ca, token_of(name))

    def as_account(self, name: str, namespace: str) -> Admin:
        """Return the way of a service account, with the rights that RBAC gives it."""
        return Admin(self.network, API, self.ca, self.token(name, namespace))

    def kubeconfig(self, user: str = "admin", namespace: str = "default") -> Path:
        """Return a kubeconfig file of one of ADMINS."""
        text = kubeconfig(self.url, self.ca, token_of(user), namespace)
        return self._write(f"{user}.{namespace}.kubeconfig", text)

    def token(self, account: str, namespace: str) -> str:
        """Ask for a token of a service account, as a kubelet does for a pod."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 7200},
        }
        return str(self.admin.create(path, request)["status"]["token"])

    def namespace(self, **labels: str) -> str:
        """Make a namespace that nobody has used, and return its name."""
        name = f"test-{next(self._numbers)}"
        meta = {"name": name, "labels": labels}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
        self.admin.create("/api/v1/namespaces", body)
        self._accounts(name)
        return name

    def _accounts(self, namespace: str) -> None:
        """Wait until pods can be made there."""
        path = f"/api/v1/namespaces/{namespace}"
        eventually(
            f"the service account of {namespace}",
            lambda: (
                self.admin.get(f"{path}/serviceaccounts/default")
                and self.admin.get(f"{path}/configmaps/kube-root-ca.crt")
            ),
        )

    def kubectl(self, *arguments: str, given: str = "", user: str = "admin") -> str:
        """Run the real kubectl, and return what it printed."""
        program = assets.find("kubectl")
        assert program, f"{assets.HOW}: kubectl"
        options = f"--kubeconfig={self.kubeconfig(user)}", f"--cache-dir={self.folder}"
        with self.inside():
            done = subprocess.run(
                [str(program), *options, *arguments],
                input=given,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, documents: str, namespace: str = "default") -> str:
        """Apply YAML on the server, as ``kubectl apply --server-side`` does."""
        how = ("apply", "--server-side", "--force-conflicts", "--namespace", namespace)
        return self.kubectl(*how, "-f", "-", given=documents)

    def _established(self) -> None:
        """Wait until each kind of ours is served."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

        def served() -> bool:
            return all(
                any(
                    condition["type"] == "Established" and condition["status"] == "True"
                    for condition in crd.get("status", {}).get("conditions") or ()
                )
                for crd in self.admin.get(path)["items"]
            )

        eventually("the kinds of crds.yaml", served)

    @contextmanager
    def full_crds(self) -> Iterator[None]:
        """Put KServe's own CRDs in the place of the small ones for a while."""
        for path in sorted(FULL.glob("*.crd.yaml")):
            self.apply(path.read_text())
        try:
            self._established()
            yield
        finally:
            self.apply(CRDS.read_text())

    def events(self, namespace: str) -> list[dict[str, Any]]:
        """Return the Events of a namespace, of whoever wrote them."""
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        return list(self.admin.get(path)["items"])
