"""Pods as real processes on a hollow node, in the words of the real parts around it."""

from __future__ import annotations

import http.client
import json
import textwrap
from functools import partial
from typing import Any

import pytest

from tests.kube.cluster import Cluster, eventually
from tests.kube.images import Image, fromzero, script
from tests.kube.kubelet import Kubelet
from tests.kube.node import Pace

pytestmark = pytest.mark.slow

SERVER = """
import http.server, os, signal, socket, sys, threading, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/read"):
            try:
                said = open(self.path[len("/read"):]).read()
            except OSError as error:
                said = repr(error)
        elif self.path.startswith("/env/"):
            said = os.environ.get(self.path[len("/env/"):], "")
        elif self.path.startswith("/name/"):
            try:
                found = socket.getaddrinfo(self.path[len("/name/"):], 80,
                                           proto=socket.IPPROTO_TCP)
                said = " ".join(sorted({each[4][0] for each in found}))
            except OSError as error:
                said = repr(error)
        elif self.path == "/who":
            said = f"{os.getuid()}:{os.getgid()} pid {os.getpid()}"
        elif self.path == "/write":
            try:
                open("/scratch", "w")
                said = "written"
            except OSError as error:
                said = repr(error)
        elif self.path.startswith("/args"):
            said = " ".join(sys.argv[1:])
        else:
            said = "fine"
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())
    def log_message(self, *args):
        print(*args, self.headers.get("User-Agent"), flush=True)

server = http.server.ThreadingHTTPServer(("", 8080), Handler)
def stop(*_):
    print("asked to stop", flush=True)
    threading.Thread(target=server.shutdown).start()
signal.signal(signal.SIGTERM, stop)
server.serve_forever()
"""
CRASHER = """
import sys
print("no weights here", flush=True)
sys.exit(3)
"""
BROKEN = {"name": "c", "image": "crasher"}
QUICK = Pace(probes=0.02, backoff=0.02, volumes_s=0.1)


@pytest.fixture
def images(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "crasher.py").write_text(CRASHER)
    server = script(tmp_path / "server.py")
    return {
        "server": server,
        "slow:1": script(tmp_path / "server.py", pull_s=1.0),
        "crasher": script(tmp_path / "crasher.py"),
        "greedy": Image(args=server.args, shows=server.shows, oom_s=0.5),
        "secret": Image(refused="unauthorized: authentication required"),
        "fromzero": fromzero(),
    }


@pytest.fixture
def kubelet(cluster, space, images):
    with Kubelet(
        cluster, f"node-of-{space}", {"nvidia.com/gpu": 3}, images, QUICK
    ) as kubelet:
        yield kubelet


def readiness(**more: Any) -> dict[str, Any]:
    return {"readinessProbe": {"httpGet": {"path": "/", "port": 8080}, **more}}


def served(**more: Any) -> dict[str, Any]:
    return {"name": "c", "image": "server", **readiness(), **more}


def pod(name: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": list(containers) or [served()],
            **spec,
        },
    }


class Desk:
    """What the tests do in their namespace."""

    def __init__(self, cluster, space):
        self.admin, self.space = cluster.admin, space
        self.pods = f"/api/v1/namespaces/{space}/pods"

    def create(self, body: dict[str, Any]) -> None:
        plurals = {"Deployment": "/apis/apps/v1"}
        path = plurals.get(body["kind"], "/api/v1")
        kind = body["kind"].lower() + "s"
        self.admin.create(f"{path}/namespaces/{self.space}/{kind}", body)

    def get(self, name: str) -> dict[str, Any]:
        return dict(self.admin.get(f"{self.pods}/{name}"))

    def all(self) -> list[dict[str, Any]]:
        return list(self.admin.get(self.pods)["items"])

    def until(self, name: str, look) -> dict[str, Any]:
        """Wait until *look* is true of the pod, and return the pod."""

        def seen():
            found = self.get(name)
            return found if look(found) else None

        return eventually(f"what is asked of {name}", seen)

    def ready(self, name: str) -> dict[str, Any]:
        return self.until(name, lambda each: holds(each, "Ready"))

    def gone(self, name: str) -> bool:
        return name not in [each["metadata"]["name"] for each in self.all()]

    def events(self, name: str) -> dict[str, str]:
        path = f"/api/v1/namespaces/{self.space}/events"
        return {
            f"{each['type']} {each['reason']}": each["message"]
            for each in self.admin.get(path)["items"]
            if each["involvedObject"]["name"] == name
        }


@pytest.fixture
def desk(cluster, space):
    return Desk(cluster, space)


def holds(found: dict[str, Any], kind: str) -> bool:
    return any(
        each["type"] == kind and each["status"] == "True"
        for each in found["status"].get("conditions", ())
    )


def state(found: dict[str, Any], key: str = "containerStatuses") -> dict[str, Any]:
    """Return the status of the first container; one that is not told is not begun."""
    nothing: dict[str, Any] = {"state": {}, "restartCount": 0}
    return dict((found["status"].get(key) or [nothing])[0])


def restarted(found: dict[str, Any]) -> bool:
    return bool(state(found)["restartCount"])


def waiting(found: dict[str, Any], key: str = "containerStatuses") -> dict[str, Any]:
    return dict(state(found, key)["state"].get("waiting", {}))


def ask(found: dict[str, Any], path: str) -> str:
    connection = http.client.HTTPConnection(found["status"]["podIP"], 8080, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    except http.client.HTTPException as error:
        raise OSError(f"the answer broke off: {error!r}") from error
    finally:
        connection.close()


def test_a_pod_becomes_ready_serves_and_goes_when_it_is_deleted(desk, kubelet):
    desk.create(pod("one"))

    found = desk.ready("one")
    four, six = (each["ip"] for each in found["status"]["podIPs"])
    said = ask(found, "/")
    desk.admin.delete(f"{desk.pods}/one")
    eventually("its end", partial(desk.gone, "one"))

    assert said == "fine"
    assert four.startswith("10.")
    assert six.startswith("fd")
    assert found["status"]["phase"] == "Running"
    assert found["spec"]["nodeName"] == kubelet.name
    assert {"Normal Pulling", "Normal Created", "Normal Started", "Normal Killing"} <= (
        desk.events("one").keys()
    )


def test_a_deployment_of_two_goes_to_zero_and_its_slices_follow(desk, kubelet):
    desk.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "two"},
            "spec": {"selector": {"app": "two"}, "ports": [{"port": 8080}]},
        }
    )
    desk.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "two"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "two"}},
                "template": {
                    "metadata": {"labels": {"app": "two"}},
                    "spec": pod("two")["spec"],
                },
            },
        }
    )
    deployment = f"/apis/apps/v1/namespaces/{desk.space}/deployments/two"
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{desk.space}/endpointslices"

    def ready() -> int:
        found = desk.admin.get(slices)["items"]
        return sum(
            bool(endpoint["conditions"].get("ready"))
            for each in found
            for endpoint in each.get("endpoints") or ()
        )

    eventually("two in the slices", lambda: ready() == 2)
    addresses = {each["status"]["podIP"] for each in desk.all()}
    desk.admin.patch(f"{deployment}/scale", {"spec": {"replicas": 0}})
    eventually("no pod", lambda: not desk.all())
    eventually("none in the slices", lambda: ready() == 0)

    assert len(addresses) == 2


def test_a_crash_loop_is_told_with_its_code_and_last_words(desk, kubelet):
    words = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    desk.create(pod("crash", BROKEN | words))

    found = desk.until(
        "crash",
        lambda each: "back-off 20s" in waiting(each).get("message", ""),
    )
    status = state(found)
    last = status["lastState"]["terminated"]

    assert waiting(found)["reason"] == "CrashLoopBackOff"
    assert (last["exitCode"], last["reason"]) == (3, "Error")
    assert last["message"].strip() == "no weights here"
    assert status["restartCount"] == 2
    assert not holds(found, "Ready")
    assert "Warning BackOff" in desk.events("crash")


def test_an_unknown_image_is_an_error_first_and_then_a_back_off(desk, cluster, images):
    slower = Pace(probes=0.02, backoff=0.3)
    with Kubelet(cluster, "pulls", images=images, pace=slower):
        desk.create(pod("none", {"name": "c", "image": "nobodys"}))
        first = desk.until(
            "none", lambda each: "Err" in waiting(each).get("reason", "")
        )
        then = desk.until(
            "none", lambda each: "BackOff" in waiting(each).get("reason", "")
        )
        events = desk.events("none")

    assert waiting(first)["reason"] == "ErrImagePull"
    assert "nobodys: not found" in waiting(first)["message"]
    assert waiting(then)["reason"] == "ImagePullBackOff"
    assert then["status"]["phase"] == "Pending"
    assert events["Normal BackOff"] == 'Back-off pulling image "nobodys"'


def test_an_image_that_takes_long_is_pulled_once(desk, kubelet):
    desk.create(pod("slow", served(image="slow:1")))
    eventually("the pull", lambda: "Normal Pulling" in desk.events("slow"))
    during = desk.get("slow")
    desk.ready("slow")
    desk.create(pod("again", served(image="slow:1")))
    desk.ready("again")

    assert waiting(during) in ({}, {"reason": "ContainerCreating"})
    assert "already present" in eventually(
        "the event", lambda: desk.events("again").get("Normal Pulled")
    )


def test_a_container_out_of_memory_is_told_so_and_begun_again(desk, kubelet):
    desk.create(pod("greedy", {"name": "c", "image": "greedy"}))

    found = desk.until("greedy", restarted)
    last = state(found)["lastState"]["terminated"]

    assert (last["exitCode"], last["reason"]) == (137, "OOMKilled")


def test_a_gpu_that_is_not_there_is_missed_in_the_schedulers_own_words(desk, kubelet):
    def wants(number: int) -> dict[str, Any]:
        limits = {"limits": {"nvidia.com/gpu": str(number)}}
        return {"resources": limits, "name": "c", "image": "server"}

    desk.create(pod("fits", wants(2)))
    desk.ready("fits")
    desk.create(pod("does-not", wants(2)))

    found = desk.until(
        "does-not", lambda each: each["status"].get("conditions") is not None
    )
    (condition,) = found["status"]["conditions"]

    assert condition["reason"] == "Unschedulable"
    assert "1 Insufficient nvidia.com/gpu" in condition["message"]


def test_init_containers_come_first_and_in_order(desk, kubelet):
    shared = {"volumeMounts": [{"name": "models", "mountPath": "/mnt/models"}]}
    steps = [
        {"name": name, "image": "server", "command": ["sh", "-c", does], **shared}
        for name, does in (
            ("first", "echo weights > /mnt/models/a"),
            ("second", "cat /mnt/models/a > /mnt/models/b"),
        )
    ]
    volumes = [{"name": "models", "emptyDir": {}}]
    desk.create(pod("begun", served(**shared), initContainers=steps, volumes=volumes))

    found = desk.ready("begun")
    states = [each["state"] for each in found["status"]["initContainerStatuses"]]

    assert ask(found, "/read/mnt/models/b").strip() == "weights"
    assert [each["terminated"]["reason"] for each in states] == ["Completed"] * 2


def test_an_init_container_that_fails_keeps_the_pod_pending(desk, kubelet):
    desk.create(pod("stuck", initContainers=[BROKEN | {"name": "storage"}]))

    def looping(found):
        inner = waiting(found, "initContainerStatuses")
        return inner.get("reason") == "CrashLoopBackOff"

    found = desk.until("stuck", looping)

    assert found["status"]["phase"] == "Pending"
    assert waiting(found)["reason"] == "PodInitializing"
    assert not holds(found, "Initialized")


def test_variables_and_volumes_are_what_the_pod_says(desk, kubelet):
    for kind, name, data in (
        ("ConfigMap", "settings", {"data": {"speed": "fast"}}),
        ("Secret", "key", {"stringData": {"word": "hush"}}),
    ):
        body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}
        desk.create(body | data)

    def source(kind: str, **fields: str) -> dict[str, Any]:
        return {"name": kind.upper(), "valueFrom": {kind + "Ref": fields}}

    env = [
        {"name": "IPS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}},
        {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        source("configMapKey", name="settings", key="speed"),
        source("secretKey", name="key", key="word"),
        {"name": "BOTH", "value": "$(ME) is $(CONFIGMAPKEY), $(NOBODY) is not"},
    ]
    mounts = [
        {"name": "settings", "mountPath": "/etc/settings"},
        {"name": "key", "mountPath": "/run/key", "readOnly": True},
        {"name": "about", "mountPath": "/about"},
    ]
    labels = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    volumes = [
        {"name": "settings", "configMap": {"name": "settings"}},
        {"name": "key", "secret": {"secretName": "key"}},
        {"name": "about", "downwardAPI": {"items": [labels]}},
    ]
    container = served(env=env, volumeMounts=mounts, args=["$(ME)", "$$(ME)"])
    container["args"] = [*kubelet.images["server"].args, "$(ME)", "$$(ME)"]
    desk.create(pod("full", container, volumes=volumes))

    found = desk.ready("full")
    four, six = (each["ip"] for each in found["status"]["podIPs"])

    assert ask(found, "/env/IPS") == f"{four},{six}"
    assert ask(found, "/env/BOTH") == "full is fast, $(NOBODY) is not"
    assert ask(found, "/env/SECRETKEY") == "hush"
    assert ask(found, "/read/etc/settings/speed") == "fast"
    assert ask(found, "/read/run/key/word") == "hush"
    assert ask(found, "/read/about/labels") == 'app="full"'
    assert ask(found, "/args") == "full $(ME)"

    path = f"/api/v1/namespaces/{desk.space}/configmaps/settings"
    desk.admin.patch(path, {"data": {"speed": "slow", "more": "x"}})
    eventually("the new file", lambda: ask(found, "/read/etc/settings/more") == "x")
    assert ask(found, "/read/etc/settings/speed") == "slow"


def test_a_mounted_token_lets_a_pod_talk_to_the_api_server(desk, kubelet):
    program = """
        import os, ssl, urllib.request
        at = "/var/run/secrets/kubernetes.io/serviceaccount/"
        host = os.environ["KUBERNETES_SERVICE_HOST"]
        context = ssl.create_default_context(cafile=at + "ca.crt")
        token = open(at + "token").read()
        path = "/apis/authorization.k8s.io/v1/selfsubjectreviews"
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        request = urllib.request.Request(
            f"https://{host}{path}", method="POST", data=b'{"kind":"SelfSubjectReview",'
            b'"apiVersion":"authentication.k8s.io/v1"}',
            headers={"Authorization": f"Bearer {token}",
                     "Content-Type": "application/json"})
        answer = urllib.request.urlopen(request, context=context).read().decode()
        open("/dev/termination-log", "w").write(answer)
    """
    code = textwrap.dedent(program)
    command = [kubelet.images["server"].entry[0], "-c", code]
    job = {"name": "c", "image": "server", "command": command}
    desk.create(pod("talks", job, restartPolicy="Never"))

    found = desk.until("talks", lambda each: each["status"]["phase"] == "Succeeded")
    ended = state(found)["state"]["terminated"]
    user = json.loads(ended["message"])["status"]["userInfo"]

    assert user["username"] == f"system:serviceaccount:{desk.space}:default"
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["talks"]


def test_names_of_services_are_answered_from_their_slices(desk, kubelet):
    for name, given in (("headless", {"clusterIP": "None"}), ("plain", {})):
        spec = {"selector": {"app": "named"}, "ports": [{"port": 80}], **given}
        meta = {"name": name}
        body = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
        desk.create(body)
    desk.create(pod("named"))
    found = desk.ready("named")
    four = found["status"]["podIP"]
    services = f"/api/v1/namespaces/{desk.space}/services"
    cluster_ip = desk.admin.get(f"{services}/plain")["spec"]["clusterIP"]

    eventually("its address", lambda: four in ask(found, "/name/headless"))

    assert ask(found, "/name/plain") == cluster_ip
    assert ask(found, f"/name/plain.{desk.space}.svc.cluster.local") == cluster_ip
    assert "gaierror" in ask(found, "/name/nobody")


def test_a_restricted_pod_is_nobody_and_cannot_write(desk, kubelet):
    security = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    desk.create(pod("safe", served(securityContext=security)))
    desk.create(pod("careless", served(securityContext={"runAsNonRoot": True})))

    found = desk.ready("safe")
    refused = desk.until("careless", lambda each: "reason" in waiting(each))

    assert ask(found, "/who") == "65532:65532 pid 1"
    assert "Read-only file system" in ask(found, "/write")
    assert waiting(refused)["reason"] == "CreateContainerConfigError"
    assert "runAsNonRoot" in waiting(refused)["message"]


def test_probes_of_each_kind_say_when_a_container_is_ready(desk, kubelet):
    probes = {
        "tcp": {"tcpSocket": {"port": 8080}},
        "exec": {"exec": {"command": ["test", "-e", "/etc/resolv.conf"]}},
        "named": {"httpGet": {"port": "web"}},
        "never": {"exec": {"command": ["false"]}},
    }
    for name, how in probes.items():
        ports = [{"name": "web", "containerPort": 8080}]
        desk.create(pod(name, served(readinessProbe=how, ports=ports)))

    for name in ("tcp", "exec", "named"):
        desk.ready(name)
    eventually("a failure", lambda: "Warning Unhealthy" in desk.events("never"))

    assert not holds(desk.get("never"), "Ready")
    assert "kube-probe/" in kubelet.log(desk.space, "named")


def test_a_startup_probe_comes_before_the_others_and_a_liveness_probe_restarts(
    desk, kubelet
):
    seen = {"exec": {"command": ["test", "-e", "/shared/started"]}}
    startup = seen | {"failureThreshold": 1000}
    alive = {"exec": {"command": ["test", "!", "-e", "/shared/sick"]}}
    probes = {"startupProbe": startup, "livenessProbe": alive}
    volume = {"name": "tmp", "mountPath": "/shared"}
    touch = {"image": "server", "volumeMounts": [volume], "name": "other"}
    hand = touch | {"command": ["sleep", "1000"]}
    desk.create(
        pod(
            "probed",
            served(**probes, volumeMounts=[volume]),
            hand,
            volumes=[{"name": "tmp", "emptyDir": {}}],
        )
    )

    before = desk.until("probed", lambda each: "running" in state(each)["state"])
    shared = kubelet.folder(desk.space, "probed") / "volumes" / "tmp"
    (shared / "started").touch()
    desk.ready("probed")
    (shared / "sick").touch()
    desk.until("probed", restarted)
    (shared / "sick").unlink()
    after = desk.ready("probed")

    assert not state(before)["started"]
    assert state(after)["restartCount"] >= 1
    assert "liveness probe" in desk.events("probed")["Normal Killing"]


@pytest.mark.parametrize(
    "hook",
    [
        pytest.param({"sleep": {"seconds": 2}}, id="a sleep"),
        pytest.param({"exec": {"command": ["sleep", "2"]}}, id="a command"),
    ],
)
def test_it_serves_through_its_pre_stop_and_then_hears_sigterm(desk, kubelet, hook):
    desk.create(pod("leaves", served(lifecycle={"preStop": hook})))
    found = desk.ready("leaves")

    desk.admin.delete(f"{desk.pods}/leaves")
    during = desk.get("leaves")
    said = ask(found, "/")
    asked = kubelet.log(desk.space, "leaves")
    eventually("its end", partial(desk.gone, "leaves"))

    assert during["metadata"]["deletionTimestamp"]
    assert said == "fine"
    assert "asked to stop" not in asked


def test_one_that_hears_no_sigterm_is_killed_when_its_grace_is_over(desk, kubelet):
    deaf = {"name": "c", "image": "server", "command": ["sleep", "1000"]}
    desk.create(pod("deaf", deaf, terminationGracePeriodSeconds=1))
    desk.ready("deaf")

    desk.admin.delete(f"{desk.pods}/deaf")

    eventually("its end", partial(desk.gone, "deaf"))


def test_a_killed_container_is_begun_again(desk, kubelet):
    desk.create(pod("killed"))
    desk.ready("killed")

    kubelet.kill(desk.space, "killed")

    found = desk.until("killed", restarted)
    last = state(found)["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (137, "Error")
    desk.ready("killed")


def test_a_configmap_that_is_missing_is_waited_for(desk, kubelet):
    env = [{"configMapRef": {"name": "late"}}]
    desk.create(pod("waits", served(envFrom=env)))
    found = desk.until("waits", lambda each: "reason" in waiting(each))
    before = waiting(found)
    before = waiting(
        desk.until(
            "waits", lambda each: "ConfigError" in waiting(each).get("reason", "")
        )
    )

    meta = {"name": "late"}
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    desk.create(data | {"data": {"LATE": "better"}})

    assert before["message"] == 'configmap "late" not found'
    assert ask(desk.ready("waits"), "/env/LATE") == "better"


def test_fromzero_itself_runs_as_a_restricted_pod(desk, kubelet):
    security = {"runAsNonRoot": True, "readOnlyRootFilesystem": True}
    job = {"name": "c", "image": "fromzero", "args": ["--help"]}
    desk.create(pod("own", job | {"securityContext": security}, restartPolicy="Never"))

    desk.until("own", lambda each: each["status"]["phase"] == "Succeeded")

    assert "Usage: " in kubelet.log(desk.space, "own")


def test_a_node_that_leaves_leaves_nothing(desk, cluster, images):
    with Kubelet(cluster, "leaving", images=images, pace=QUICK):
        desk.create(pod("left"))
        found = desk.ready("left")

    with pytest.raises(OSError, match="No route|refused|timed out"):
        ask(found, "/")
    assert desk.gone("left")
    nodes = cluster.admin.get("/api/v1/nodes")["items"]
    assert "leaving" not in [each["metadata"]["name"] for each in nodes]


def test_an_outage_of_the_api_server_disturbs_no_pod(images):
    with (
        Cluster() as cluster,
        cluster.inside(),
        Kubelet(cluster, "node", images=images, pace=QUICK) as kubelet,
    ):
        desk = Desk(cluster, cluster.namespace())
        desk.create(pod("stays"))
        found = desk.ready("stays")

        cluster.stop_api()
        during = ask(found, "/")
        kubelet.kill(desk.space, "stays")
        eventually("the new process", lambda: ask(found, "/"))
        cluster.start_api()
        after = desk.until("stays", restarted)
        desk.create(pod("comes"))
        desk.ready("comes")

    assert during == "fine"
    assert after["metadata"]["uid"] == found["metadata"]["uid"]
