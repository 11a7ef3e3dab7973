"""The cluster of a test session, and a namespace of it for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.kube.cluster import FULL, Cluster, unable


def demand(why: str) -> None:
    """Skip for the reason *why*, if it is one; where CI is set, fail instead."""
    if why and os.environ.get("CI"):
        pytest.fail(why)
    if why:
        pytest.skip(why)


@pytest.fixture(scope="session")
def session_cluster() -> Iterator[Cluster]:
    """Start the cluster that tests share, once, when the first of them asks."""
    demand(unable())
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(session_cluster: Cluster) -> Iterator[Cluster]:
    """Give a test the shared cluster, with the test's own thread inside its network.

    A test that stops its API server starts it again; better, it has a Cluster() of its
    own: that takes three seconds.
    """
    with session_cluster.inside():
        yield session_cluster


@pytest.fixture
def space(cluster: Cluster) -> Iterator[str]:
    """Give a test a namespace of its own, labelled as managed by nobody."""
    name = cluster.namespace()
    yield name
    cluster.admin.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def full_crds(cluster: Cluster) -> Iterator[None]:
    """Put KServe's own CRDs in the place of the small ones, where somebody has them."""
    if not FULL.is_dir():
        pytest.skip(f"KServe's full CRDs are not at {FULL}")
    with cluster.full_crds():
        yield
