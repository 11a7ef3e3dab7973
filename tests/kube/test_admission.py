"""What RBAC cannot say of the autoscaler's writes, the API server holds it to."""

from __future__ import annotations

import pytest
import yaml

from autoscaler.backends.kubernetes.scaler import COST
from autoscaler.backends.kubernetes.slices import MANAGED_BY
from tests.kube.admin import Refused
from tests.kube.cluster import Cluster, eventually, unable
from tests.kube.documents import at, scale
from tests.kube.fixtures import demand
from tests.kube.installed import HOME, rendered

pytestmark = pytest.mark.slow

ACCOUNT = "fromzero-autoscaler"
KINDS = (
    *("Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
)
LABEL = {"fromzero.dev/managed": "true"}
KEEPER = "endpointslice.kubernetes.io/managed-by"
ONLY_COST = f"nothing of a pod but the annotation {COST}"
MARKS = "mark pods only in namespaces that are labelled fromzero.dev/managed=true"
SCALES = "scale only in namespaces that are labelled fromzero.dev/managed=true"
MAKES = "make EndpointSlices only in namespaces that are labelled"
ONLY_OURS = f"only EndpointSlices that are labelled {KEEPER}={MANAGED_BY}"


@pytest.fixture(scope="module")
def guarded():
    """Give a cluster with the rights and the policies of an installation, and no pods."""
    demand(unable())
    found = [each for each in yaml.safe_load_all(rendered("default")) if each]
    with Cluster() as cluster, cluster.inside():
        given = [each for each in found if each["kind"] in KINDS]
        cluster.apply(yaml.safe_dump_all(given), HOME)
        its, nobody = cluster.as_account(ACCOUNT, HOME), cluster.namespace()
        make(cluster.admin, nobody)

        def counts():
            for write, rule in (
                (lambda: mark(its, nobody), MARKS),
                (lambda: its.patch(scale_of(nobody), scale(0)), SCALES),
                (lambda: its.create(at(nobody, "endpointslices"), ours()), MAKES),
            ):
                try:
                    write()
                except Refused as error:
                    if rule in str(error):
                        continue
                return False
            return True

        eventually("the policies count", counts)
        yield cluster


@pytest.fixture
def its(guarded):
    return guarded.as_account(ACCOUNT, HOME)


@pytest.fixture(params=["managed", "let go"])
def anywhere(request, guarded):
    """Give a namespace with the label, and one without it."""
    yield from given(guarded, LABEL if request.param == "managed" else {})


@pytest.fixture
def managed(guarded):
    yield from given(guarded, LABEL)


@pytest.fixture
def left(guarded):
    """Give a namespace that has lost its label, with all that was made there before."""
    yield from given(guarded, {})


def given(cluster, labels):
    space = cluster.namespace(**labels)
    make(cluster.admin, space)
    yield space
    cluster.admin.delete(f"/api/v1/namespaces/{space}")


def make(admin, space):
    """Make a Deployment of two, one pod of its own, and a slice of ours and another's."""
    labels = {"app": "clf"}
    containers = [{"name": "server", "image": "server"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    deployment = {"metadata": {"name": "clf"}, "spec": spec}
    pod = {
        "metadata": {
            "name": "own",
            "labels": {"of": "somebody"},
            "annotations": {"kept": "as it is"},
            "finalizers": ["example.com/kept"],
        },
        "spec": {"automountServiceAccountToken": False, "containers": containers},
    }
    admin.create(at(space, "deployments"), deployment)
    admin.create(at(space, "pods"), pod)
    admin.create(at(space, "endpointslices"), ours())
    admin.create(at(space, "endpointslices"), slice_("theirs", "somebody.example.com"))


def slice_(name, keeper=MANAGED_BY):
    labels = {"kubernetes.io/service-name": "clf"} | (
        {KEEPER: keeper} if keeper else {}
    )
    return {
        "metadata": {"name": name, "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 20000, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.244.0.9"]}],
    }


def ours():
    return slice_("ours")


def scale_of(space):
    return f"{at(space, 'deployments', 'clf')}/scale"


def mark(user, space, cost="-100"):
    body = {"metadata": {"annotations": {COST: cost}}}
    return user.patch(at(space, "pods", "own"), body)


def marks(admin, space):
    return admin.get(at(space, "pods", "own"))["metadata"]["annotations"].get(COST)


def test_a_pod_is_marked_and_spared(managed, its, guarded):
    mark(its, managed)
    assert marks(guarded.admin, managed) == "-100"
    mark(its, managed, "-50")
    assert marks(guarded.admin, managed) == "-50"
    mark(its, managed, None)
    assert marks(guarded.admin, managed) is None


def test_where_the_label_is_gone_marks_are_only_taken_away(left, its, guarded):
    mark(guarded.admin, left)

    with pytest.raises(Refused, match=MARKS):
        mark(its, left, "-50")

    mark(its, left, None)
    assert marks(guarded.admin, left) is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"metadata": {"labels": {"of": None}}}, id="a label goes"),
        pytest.param({"metadata": {"labels": {"app": "clf"}}}, id="a label comes"),
        pytest.param({"metadata": {"annotations": {"kept": None}}}, id="a word goes"),
        pytest.param(
            {"metadata": {"annotations": {"kept": "no"}}}, id="a word changes"
        ),
        pytest.param({"metadata": {"annotations": {"more": "x"}}}, id="a word comes"),
        pytest.param(
            {"metadata": {"annotations": {COST: "-1", "more": "x"}}},
            id="a word comes along with the mark",
        ),
        pytest.param({"metadata": {"annotations": None}}, id="all words go"),
        pytest.param({"metadata": {"finalizers": None}}, id="a finalizer goes"),
        pytest.param({"metadata": {"finalizers": ["a.b/c"]}}, id="a finalizer comes"),
        pytest.param(
            {
                "metadata": {
                    "ownerReferences": [
                        {"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "x"}
                    ]
                }
            },
            id="an owner comes",
        ),
        pytest.param(
            {"spec": {"activeDeadlineSeconds": 1}}, id="a deadline that kills it"
        ),
        pytest.param(
            {"spec": {"containers": [{"name": "server", "image": "other"}]}},
            id="another image",
        ),
    ],
)
def test_nothing_else_of_a_pod_may_change(change, anywhere, its, guarded):
    path = at(anywhere, "pods", "own")
    before = guarded.admin.get(path)

    with pytest.raises(Refused, match=f"403: .*{ONLY_COST}"):
        its.patch(path, change)

    assert guarded.admin.get(path) == before
    guarded.admin.patch(path, change)  # As others may.


def test_what_is_managed_is_scaled_both_ways(managed, its):
    for count in (0, 3, 1, 1):
        said = its.patch(scale_of(managed), scale(count))
        assert said["spec"].get("replicas", 0) == count


def test_where_the_label_is_gone_it_is_only_scaled_up(left, its, guarded):
    for count in (1, 0):
        with pytest.raises(Refused, match=f"403: .*{SCALES}"):
            its.patch(scale_of(left), scale(count))
    its.patch(scale_of(left), scale(2))
    its.patch(scale_of(left), scale(3))

    guarded.admin.patch(scale_of(left), scale(0))
    its.patch(scale_of(left), scale(0))
    its.patch(scale_of(left), scale(1))


def test_our_slices_are_made_changed_and_deleted(managed, its):
    path = at(managed, "endpointslices")
    its.create(path, slice_("more"))
    its.replace(f"{path}/more", slice_("more") | {"endpoints": []})
    its.delete(f"{path}/more")


def test_where_the_label_is_gone_our_slices_are_changed_and_deleted_not_made(left, its):
    path = at(left, "endpointslices")
    with pytest.raises(Refused, match=f"403: .*{MAKES}"):
        its.create(path, slice_("more"))

    its.replace(f"{path}/ours", ours() | {"endpoints": []})
    its.delete(f"{path}/ours")


@pytest.mark.parametrize("keeper", ["", "endpointslice-controller.k8s.io"])
def test_no_slice_is_written_that_is_not_ours(keeper, anywhere, its, guarded):
    path = at(anywhere, "endpointslices")
    before = guarded.admin.get(f"{path}/theirs"), guarded.admin.get(f"{path}/ours")

    for write in (
        lambda: its.create(path, slice_("more", keeper)),
        lambda: its.replace(f"{path}/theirs", slice_("theirs", keeper)),
        lambda: its.replace(f"{path}/theirs", slice_("theirs")),  # No taking over,
        lambda: its.replace(f"{path}/ours", slice_("ours", keeper)),  # no giving away.
        lambda: its.delete(f"{path}/theirs"),
    ):
        with pytest.raises(Refused, match=f"403: .*{ONLY_OURS}"):
            write()

    after = guarded.admin.get(f"{path}/theirs"), guarded.admin.get(f"{path}/ours")
    assert after == before


def test_the_label_counts_with_its_value_alone(guarded, its):
    for labels in ({"fromzero.dev/managed": "false"}, {"fromzero.dev": "true"}):
        for space in given(guarded, labels):
            with pytest.raises(Refused, match=SCALES):
                its.patch(scale_of(space), scale(0))


def test_the_account_is_known_in_whatever_namespace_and_needs_no_label_at_home(
    guarded, left
):
    name = f"{left}-autoscaler"
    account = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": left}
    api = "/apis/rbac.authorization.k8s.io/v1"
    guarded.admin.create(at(left, "serviceaccounts"), {"metadata": {"name": ACCOUNT}})
    guarded.admin.create(
        f"{api}/clusterrolebindings",
        {
            "metadata": {"name": name},
            "subjects": [account],
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": ACCOUNT,
            },
        },
    )
    other = guarded.as_account(ACCOUNT, left)
    eventually("its rights", lambda: other.get(at(left, "pods")))

    assert other.patch(scale_of(left), scale(1))["spec"]["replicas"] == 1
    mark(other, left)
    other.create(at(left, "endpointslices"), slice_("more"))
    with pytest.raises(Refused, match=ONLY_OURS):
        other.delete(f"{at(left, 'endpointslices')}/theirs")
    for space in given(guarded, {}):
        with pytest.raises(Refused, match=SCALES):
            other.patch(scale_of(space), scale(0))
    guarded.admin.delete(f"{api}/clusterrolebindings/{name}")


def test_the_policies_are_of_the_types_that_they_are_about(guarded):
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"

    def checked():
        found = guarded.admin.get(path)["items"]
        said = [each["status"] for each in found if each.get("status")]
        return said if len(said) == len(found) == 3 else None

    for each in eventually("their types are checked", checked):
        assert not each.get("typeChecking"), each
