"""What is installed in a cluster: rendered, accepted, and no more than it needs."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from autoscaler.backends.kubernetes.allotment import FIRST, LAST
from autoscaler.backends.kubernetes.overrides import NAME as REVISIONS
from autoscaler.backends.kubernetes.scaler import COST
from autoscaler.backends.kubernetes.slices import MANAGED_BY
from autoscaler.backends.kubernetes.store import LABEL
from autoscaler.quantity import whole_bytes
from fromzero.activator import LINGER_S
from fromzero.commands import app
from fromzero.config import Settings, resolve
from tests.kube import assets
from tests.kube.admin import Refused
from tests.kube.cluster import Cluster, eventually
from tests.kube.fixtures import demand

ROOT = Path(__file__).parent.parent
MANIFESTS = ROOT / "manifests"
OVERLAYS = ("default", "high-availability", "one-namespace")
EXAMPLES = sorted((MANIFESTS / "examples").glob("*.yaml"))
SYSTEM = "fromzero-system"
PODS = ("autoscaler", "activator")
WRITES = {
    ("", "pods"): {"patch"},
    ("apps", "deployments/scale"): {"patch"},
    ("discovery.k8s.io", "endpointslices"): {"create", "update", "delete"},
    ("events.k8s.io", "events"): {"create", "patch"},
    ("coordination.k8s.io", "leases"): {"create", "update"},
}
"""All that DESIGN says is written."""

Document = dict[str, Any]


def render(folder: Path) -> str:
    kubectl = assets.find("kubectl")
    demand("" if kubectl else f"{assets.HOW}: kubectl missing")
    done = subprocess.run(
        [str(kubectl), "kustomize", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def documents(text: str) -> list[Document]:
    return [each for each in yaml.safe_load_all(text) if each]


def of(kind: str, found: list[Document]) -> dict[str, Document]:
    return {each["metadata"]["name"]: each for each in found if each["kind"] == kind}


@pytest.fixture(params=OVERLAYS)
def rendered(request: pytest.FixtureRequest) -> list[Document]:
    return documents(render(MANIFESTS / request.param))


@pytest.fixture
def installed() -> list[Document]:
    return documents((MANIFESTS / "install.yaml").read_text())


def pod(found: list[Document], name: str) -> Document:
    spec = of("Deployment", found)[f"fromzero-{name}"]["spec"]
    return dict(spec["template"]["spec"])


def container(found: list[Document], name: str) -> Document:
    (only,) = pod(found, name)["containers"]
    return dict(only)


def test_the_rendered_file_is_what_the_default_overlay_renders():
    assert (MANIFESTS / "install.yaml").read_text() == render(MANIFESTS / "default"), (
        "kubectl kustomize manifests/default > manifests/install.yaml"
    )


def test_no_secret_is_in_a_public_file(rendered):
    assert "Secret" not in {each["kind"] for each in rendered}


def test_an_activator_has_no_credentials(rendered):
    account = of("ServiceAccount", rendered)["fromzero-activator"]

    assert pod(rendered, "activator")["serviceAccountName"] == "fromzero-activator"
    assert pod(rendered, "activator")["automountServiceAccountToken"] is False
    assert account["automountServiceAccountToken"] is False
    for each in rendered:
        names = [subject["name"] for subject in each.get("subjects", ())]
        assert "fromzero-activator" not in names


def rules(found: list[Document]) -> Iterator[Document]:
    for each in found:
        yield from each.get("rules", ()) if each["kind"].endswith("Role") else ()


def test_the_autoscaler_may_write_what_the_design_says_and_read_no_secret(rendered):
    written: dict[tuple[str, str], set[str]] = {}
    for rule in rules(rendered):
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                verbs = set(rule["verbs"])
                assert "*" not in verbs | {group, resource}
                assert resource != "secrets"
                if more := verbs - {"get", "list", "watch"}:
                    written.setdefault((group, resource), set()).update(more)

    assert written == WRITES


def test_each_policy_is_bound_fails_closed_and_denies(installed):
    policies = of("ValidatingAdmissionPolicy", installed)
    bindings = of("ValidatingAdmissionPolicyBinding", installed)

    held = set()
    for name, policy in policies.items():
        spec = policy["spec"]
        assert spec["failurePolicy"] == "Fail"
        assert bindings[name]["spec"] == {
            "policyName": name,
            "validationActions": ["Deny"],
        }
        for rule in spec["matchConstraints"]["resourceRules"]:
            (group,), (resource,) = rule["apiGroups"], rule["resources"]
            held.add((group, resource))
    assert bindings.keys() == policies.keys()
    assert held == {
        ("", "pods"),
        ("apps", "deployments/scale"),
        ("discovery.k8s.io", "endpointslices"),
    }


def test_policies_mean_the_account_the_label_and_the_slices_that_are_ours(installed):
    found = yaml.safe_dump(list(of("ValidatingAdmissionPolicy", installed).values()))
    text = " ".join(found.split())
    (account,) = of("ClusterRoleBinding", installed)["fromzero-autoscaler"]["subjects"]
    label, _, value = LABEL.partition("=")

    assert f":{account['name']}$" in text
    assert f'?"{label}"].orValue("") == "{value}"' in text
    assert f'.orValue("") == "{MANAGED_BY}"' in text
    assert COST in text


def test_configmaps_and_leases_are_ours_by_name(rendered):
    for rule in rules(rendered):
        if rule["resources"] == ["configmaps"]:
            assert rule["resourceNames"] == [REVISIONS]
        if rule["resources"] == ["leases"] and rule["verbs"] != ["create"]:
            assert rule["resourceNames"] == ["fromzero-autoscaler"]
    assert REVISIONS in of("ConfigMap", rendered)


def test_in_one_namespace_there_is_no_right_outside_of_it():
    found = documents(render(MANIFESTS / "one-namespace"))

    assert not {each["kind"] for each in found} & {
        "ClusterRole", "ClusterRoleBinding", "Namespace", "ValidatingAdmissionPolicy",
    }  # fmt: skip
    assert {each["metadata"]["namespace"] for each in found} == {"models"}
    assert "--namespace=$(POD_NAMESPACE)" in container(found, "autoscaler")["args"]


def test_one_namespace_has_the_rights_of_the_cluster_but_for_namespaces():
    wide = documents((MANIFESTS / "default" / "system" / "rights.yaml").read_text())
    narrow = documents((MANIFESTS / "one-namespace" / "rights.yaml").read_text())

    assert list(rules(narrow)) == [
        rule for rule in rules(wide) if rule["resources"] != ["namespaces"]
    ]


def test_high_availability_has_more_of_both_and_spreads_them_over_zones():
    found = documents(render(MANIFESTS / "high-availability"))
    deployments = of("Deployment", found)

    counts = [deployments[f"fromzero-{name}"]["spec"]["replicas"] for name in PODS]
    assert counts == [2, 3]
    for name in PODS:
        keys = [
            each["topologyKey"]
            for each in pod(found, name)["topologySpreadConstraints"]
        ]
        assert keys == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]


def test_all_run_the_image_of_this_version(rendered):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    for name in PODS:
        assert container(rendered, name)["image"] == f"fromzero:{version}"


def test_the_image_runs_fromzero_as_the_user_that_the_pods_name():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [
        word
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    context = (ROOT / ".dockerignore").read_text().split()

    assert 'ENTRYPOINT ["fromzero"]' in lines
    assert "USER 65532:65532" in lines
    for source in copied:
        assert (ROOT / source).exists()
        assert f"!{source}" in context
    found = documents((MANIFESTS / "install.yaml").read_text())
    assert {pod(found, name)["securityContext"]["runAsUser"] for name in PODS} == {
        65532
    }


@pytest.mark.parametrize("name", ["activator"])
def test_what_a_pod_runs_is_a_command_with_those_flags(name, installed):
    command, *flags = container(installed, name)["args"]

    known = get_command(app).commands[command].params
    options = set(chain.from_iterable(each.opts for each in known))
    assert {flag.partition("=")[0] for flag in flags} <= options


def test_the_settings_that_are_installed_can_be_read(installed, tmp_path):
    text = of("ConfigMap", installed)["fromzero-config"]["data"]["fromzero.yaml"]
    path = tmp_path / "fromzero.yaml"
    path.write_text(text)

    assert resolve({}, {}, path).domain == "example.com"
    for name in PODS:
        env = {
            each["name"]: each.get("value")
            for each in container(installed, name)["env"]
        }
        folders = [
            each["mountPath"] for each in container(installed, name)["volumeMounts"]
        ]
        assert str(Path(env["FROMZERO_CONFIG"]).parent) in folders


def test_an_activator_has_the_time_to_leave_and_the_memory_to_hold(installed):
    settings = Settings()
    least_s = settings.leave_limit_s + LINGER_S + settings.drain_s
    limit = whole_bytes(
        container(installed, "activator")["resources"]["limits"]["memory"]
    )

    assert pod(installed, "activator")["terminationGracePeriodSeconds"] > least_s
    assert limit is not None
    assert limit >= 2 * settings.total_max_held_bytes


def test_the_ports_are_those_of_the_programs(installed):
    settings, services = Settings(), of("Service", installed)
    ports = {
        name: {
            each["name"]: each["containerPort"]
            for each in container(installed, name)["ports"]
        }
        for name in PODS
    }

    own = ports["activator"]["http"]
    assert f"--port={own}" in container(installed, "activator")["args"]
    # Where models listen, it stands in for headless Services.
    assert own not in (settings.port, *range(FIRST, LAST + 1))
    assert ports["activator"] == {"http": own, "admin": settings.admin_port}
    assert ports["autoscaler"] == {"admin": settings.admin_port, "link": 9091}
    assert services["fromzero-activator"]["spec"]["ports"] == [
        {"name": "http", "port": 80, "targetPort": "http"}
    ]
    link = services["fromzero-autoscaler"]["spec"]
    assert link["clusterIP"] == "None"
    assert link["publishNotReadyAddresses"] is True


def test_what_stands_in_is_reached_at_every_port_that_is_given(installed):
    policy = of("NetworkPolicy", installed)["fromzero-activator"]["spec"]
    rule, scrape = policy["ingress"]
    below, above = rule["ports"]

    assert "from" not in rule
    assert above["port"] <= FIRST <= LAST <= above["endPort"]
    # All but the admin port, which only Prometheus has business with.
    assert below["port"] == 1
    assert (below["endPort"], above["port"]) == (9089, 9091)
    assert scrape["from"][0]["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": "monitoring"
    }


def test_only_activators_reach_the_link_and_nobody_gives_orders(installed):
    policy = of("NetworkPolicy", installed)["fromzero-autoscaler"]["spec"]
    link, scrape = policy["ingress"]

    assert link["ports"] == [{"protocol": "TCP", "port": 9091}]
    (who,) = link["from"]
    assert (
        who["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "activator"
    )
    assert set(who) == {"podSelector"}
    assert scrape["ports"] == [{"protocol": "TCP", "port": 9090}]
    (who,) = scrape["from"]
    assert set(who) == {"namespaceSelector"}


def test_alerts_are_about_metrics_that_there_are(tmp_path):
    known = set(
        re.findall(r"^\| `(\w+)`", (ROOT / "docs" / "metrics.md").read_text(), re.M)
    )
    way = os.path.relpath(MANIFESTS, tmp_path)
    (tmp_path / "kustomization.yaml").write_text(
        f"resources: [{way}/default]\ncomponents: [{way}/components/monitoring]\n"
    )

    found = documents(render(tmp_path))

    (group,) = of("PrometheusRule", found)["fromzero"]["spec"]["groups"]
    for rule in group["rules"]:
        names = re.findall(r"fromzero_\w+", rule["expr"])
        assert names
        assert set(names) <= known, rule["alert"]
    scraped = of("PodMonitor", found)["fromzero"]["spec"]["podMetricsEndpoints"]
    assert [each["port"] for each in scraped] == ["admin"]


@pytest.fixture
def place(cluster: Cluster) -> Iterator[str]:
    """Give a namespace that takes only restricted pods, as ours is."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    name = cluster.namespace(**labels)
    yield name
    cluster.admin.delete(f"/api/v1/namespaces/{name}")


def tried(cluster: Cluster, text: str, namespace: str) -> str:
    """Have the API server say what it would do with *text*; raise if it refuses any."""
    how = ("apply", "--server-side", "--dry-run=server", "--validate=strict")
    return cluster.kubectl(*how, "--namespace", namespace, "-f", "-", given=text)


@pytest.mark.slow
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_real_api_server_accepts_all_of_it_and_its_pods_where_only_restricted_may_be(
    overlay, cluster, place
):
    text = render(MANIFESTS / overlay)
    text = text.replace(f"namespace: {SYSTEM}", f"namespace: {place}")
    text = text.replace("namespace: models", f"namespace: {place}")
    found = documents(text)

    said = tried(cluster, text, place)

    assert len(said.splitlines()) == len(found)
    cluster.apply(yaml.safe_dump_all(of("ServiceAccount", found).values()), place)
    for name in PODS:
        template = of("Deployment", found)[f"fromzero-{name}"]["spec"]["template"]
        body = {"apiVersion": "v1", "kind": "Pod"} | template
        body["metadata"] = template["metadata"] | {"name": name}
        path = f"/api/v1/namespaces/{place}/pods"
        made = cluster.admin.call("POST", path, body, dryRun="All")
        assert made["spec"]["serviceAccountName"] == f"fromzero-{name}"
        tokens = [each for each in made["spec"]["volumes"] if "projected" in each]
        assert len(tokens) == (name == "autoscaler")


@pytest.mark.slow
def test_an_overlay_of_ones_own_may_name_another_namespace(cluster, place, tmp_path):
    way = os.path.relpath(MANIFESTS, tmp_path)
    (tmp_path / "kustomization.yaml").write_text(
        f"namespace: {place}\nresources: [{way}/high-availability]\n"
    )
    text = render(tmp_path)

    said = tried(cluster, text, place)

    assert len(said.splitlines()) == len(documents(text))
    (account,) = of("ClusterRoleBinding", documents(text))["fromzero-autoscaler"][
        "subjects"
    ]
    assert account["namespace"] == place


@pytest.mark.slow
def test_the_namespace_refuses_a_pod_that_is_not_restricted(cluster, place):
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "any"},
        "spec": {"containers": [{"name": "any", "image": "any"}]},
    }
    with pytest.raises(Refused, match="restricted"):
        cluster.admin.call(
            "POST", f"/api/v1/namespaces/{place}/pods", body, dryRun="All"
        )


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_real_api_server_accepts_the_examples(path, cluster, space):
    text = re.sub(
        r"namespace: (production|fromzero-system)\b",
        f"namespace: {space}",
        path.read_text(),
    )

    said = tried(cluster, text, space)

    assert len(said.splitlines()) == len(documents(text))


@pytest.mark.slow
def test_the_roles_let_the_autoscaler_do_its_work_and_no_more(cluster, place):
    text = render(MANIFESTS / "one-namespace").replace(
        "namespace: models", f"namespace: {place}"
    )
    found = documents(text)
    kinds = ("ServiceAccount", "Role", "RoleBinding")
    cluster.apply(
        yaml.safe_dump_all(each for each in found if each["kind"] in kinds), place
    )
    its = cluster.as_account("fromzero-autoscaler", place)
    here = f"/api/v1/namespaces/{place}"

    eventually("its rights", lambda: its.get(f"{here}/pods")["kind"] == "PodList")
    named = {"fieldSelector": f"metadata.name={REVISIONS}"}
    assert its.get(f"{here}/configmaps", **named)["kind"] == "ConfigMapList"

    for path in (
        f"{here}/secrets",
        f"{here}/configmaps",
        "/api/v1/namespaces/default/pods",
        "/api/v1/namespaces",
        f"/apis/apps/v1/namespaces/{place}/replicasets",
    ):
        with pytest.raises(Refused, match="403"):
            its.get(path)
