"""Who else writes replicas: a name stays, so only one that took it from us counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.rivals import Written, foreign, written
from tests.autoscaler.backends.kubernetes.kserved import deployment

NAMES = ["manager", "fromzero", "kubectl", "kubectl-scale", "argocd", "lens", "keda"]


def after(*histories):
    found = None
    for managers in histories:
        found = written(deployment(managers=managers), found)
    return found


def test_kserve_we_a_persons_kubectl_and_what_an_hpa_once_wrote_are_no_strangers():
    assert foreign(("manager", "kserve-controller", "fromzero", "kubectl")) == ()
    assert foreign(("kubectl-scale", "kube-controller-manager", "keda-operator")) == ()


def test_who_only_once_wrote_is_no_rival():
    assert after(("argocd",)).rival == ""
    assert after(("argocd",), ("fromzero",)).rival == ""


def test_who_takes_the_value_from_us_is_a_rival_until_it_is_gone():
    assert after(("fromzero",), ("argocd",)).rival == "argocd"
    assert after(("fromzero",), ("argocd",), ("argocd",)).rival == "argocd"
    assert after(("fromzero",), ("argocd",), ("kubectl",)).rival == ""
    assert after(("fromzero",), ("argocd",), ("fromzero",)).rival == ""


@pytest.mark.parametrize("tool", ["kubectl", "kubectl-client-side-apply", "helm"])
def test_a_person_who_writes_is_no_rival(tool):
    assert after(("fromzero",), (tool,)).rival == ""


def test_a_manifest_that_says_replicas_is_a_stranger_all_the_same():
    assert foreign(("kubectl-client-side-apply",)) == ("kubectl-client-side-apply",)


@given(st.lists(st.lists(st.sampled_from(NAMES), max_size=3), max_size=6))
def test_a_rival_is_a_stranger_who_is_there_while_we_are_not(histories):
    found = after(*map(tuple, histories)) or Written()

    if found.rival:
        assert found.rival in foreign(found.managers)
        assert "fromzero" not in found.managers
