"""Rights are held against their use, by the API server's own log."""

from __future__ import annotations

import contextlib

import pytest

from tests.kube.admin import Refused
from tests.kube.audit import (
    Right,
    Use,
    Used,
    compare,
    covers,
    grants,
    lines,
    of_rule,
    ungranted,
    use,
    used,
)
from tests.kube.cluster import eventually

SCALE = Right("patch", "apps", "deployments/scale")


def rule(verbs, groups, resources, **more):
    return {"verbs": verbs, "apiGroups": groups, "resources": resources, **more}


def documents(space, *rules, cluster=False):
    """Return a role with its binding to the account `robot` of a namespace."""
    kind = "ClusterRole" if cluster else "Role"
    meta = {"name": f"robot-{space}"} | ({} if cluster else {"namespace": space})
    api = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": "robot", "namespace": space}
    role = {"apiVersion": f"{api}/v1", "kind": kind, "metadata": meta, "rules": rules}
    binding = {
        "apiVersion": f"{api}/v1",
        "kind": f"{kind}Binding",
        "metadata": meta,
        "subjects": [subject],
        "roleRef": {"apiGroup": api, "kind": kind, "name": meta["name"]},
    }
    return [role, binding]


@pytest.mark.parametrize(
    ("given", "covered"),
    [
        (rule(["patch"], ["apps"], ["deployments/scale"]), True),
        (rule(["*"], ["*"], ["*"]), True),
        (rule(["patch"], ["apps"], ["*/scale"]), True),
        (rule(["patch"], ["apps"], ["deployments"]), False),
        (rule(["get"], ["apps"], ["deployments/scale"]), False),
        (rule(["patch"], [""], ["deployments/scale"]), False),
        (rule(["patch"], ["apps"], ["deployments/scale"], resourceNames=["b"]), False),
        (rule(["patch"], ["apps"], ["deployments/scale"], resourceNames=["a"]), True),
    ],
    ids=str,
)
def test_a_rule_covers_what_rbac_would_let_it(given, covered):
    (grant,) = of_rule(given, "here")

    assert covers(grant, Use(SCALE, "here", "a")) is covered
    assert not covers(grant, Use(SCALE, "there", "a"))


def test_a_grant_that_nothing_used_and_a_use_that_was_refused_are_told():
    given = grants(
        documents("here", rule(["get", "patch"], ["apps"], ["deployments/scale"])),
        "here:robot",
    )
    denied = Use(Right("delete", "", "pods"), "here", "x")
    seen = Used(
        allowed=frozenset({Use(SCALE, "here", "a")}), refused=frozenset({denied})
    )

    found = compare(seen, given)

    assert found.unused == ("get deployments/scale.apps in here",)
    assert found.refused == ("delete pods in here",)
    assert found
    assert not compare(Used(allowed=frozenset({Use(SCALE, "here", "a")})), given[1:])


def test_what_the_roles_do_not_explain_is_told():
    seen = Used(allowed=frozenset({Use(SCALE, "here", "a")}))

    assert ungranted(seen, []) == ["patch deployments/scale.apps"]
    assert grants(documents("here"), "other:robot") == []


def test_paths_of_no_resource_have_rules_of_their_own():
    (grant,) = of_rule({"verbs": ["get"], "nonResourceURLs": ["/metrics*"]}, "")
    event = {"verb": "get", "requestURI": "/metrics/slis?a=b"}

    assert covers(grant, use(event))
    assert not covers(grant, use(event | {"requestURI": "/logs"}))


@pytest.mark.slow
def test_the_log_of_the_api_server_says_what_an_account_did(cluster, space):
    admin, pods = cluster.admin, f"/api/v1/namespaces/{space}/pods"
    given = documents(space, rule(["list", "watch", "delete"], [""], ["pods"])) + (
        documents(space, rule(["get"], [""], ["namespaces"]), cluster=True)
    )
    api = "/apis/rbac.authorization.k8s.io/v1"
    for each in given:
        plural = f"{each['kind'].lower()}s"
        inside = each["metadata"].get("namespace")
        where = f"/namespaces/{inside}" if inside else ""
        admin.create(f"{api}{where}/{plural}", each)
    account = {"metadata": {"name": "robot"}}
    admin.create(f"/api/v1/namespaces/{space}/serviceaccounts", account)
    robot = cluster.as_account("robot", space)
    eventually("its rights", lambda: robot.get(pods))
    robot.get(f"/api/v1/namespaces/{space}")
    robot.get(pods, watch="1", timeoutSeconds="1")
    with contextlib.suppress(Refused):
        robot.get(f"/api/v1/namespaces/{space}/secrets")

    def logged():
        seen = used(lines(cluster.audit_log)).get(f"{space}:robot")
        secret = Use(Right("list", "", "secrets"), space, "")
        watched = Use(Right("watch", "", "pods"), space, "")
        ok = seen and secret in seen.refused and watched in seen.allowed
        return seen if ok else None

    seen = eventually("the log", logged)
    rights = grants(given, f"{space}:robot")
    found = compare(seen, rights)
    assert found.unused == (f"delete pods in {space}",)
    assert f"list secrets in {space}" in found.refused
    assert ungranted(seen, rights) == []
    assert "get namespaces of the whole cluster" in map(
        str, (each.right for each in seen.allowed)
    )
    for each in given[2:]:
        admin.delete(f"{api}/{each['kind'].lower()}s/robot-{space}")
