"""Where a pod's page of metrics is looked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.facts import Container, Meta, Pod
from autoscaler.backends.kubernetes.pages import PATH, PORT, Place, places


def pod(*containers: Container, **said: str) -> Pod:
    names = {"port": PORT, "path": PATH}
    annotations = {names[key]: value for key, value in said.items()}
    return Pod(meta=Meta(name="iris", annotations=annotations), containers=containers)


SERVING = Container(name="kserve-container", ports=(("http1", 8000),))


def test_what_the_annotations_say_comes_first():
    assert places(pod(SERVING, port="8002", path="/m"))[0] == Place(8002, "/m")
    assert places(pod(SERVING, path="/m"))[0] == Place(8000, "/m")
    assert places(pod(SERVING, port="9"))[0] == Place(9, "/metrics")


def test_without_annotations_the_port_that_serves_comes_first_then_the_engines():
    assert places(pod(SERVING)) == (
        Place(8000, "/metrics"),
        Place(8002, "/metrics"),
        Place(8082, "/metrics"),
        Place(8000, "/prometheus/metrics"),
    )


def test_a_wrong_annotation_does_not_hide_the_page_that_is_there():
    assert Place(8000, "/metrics") in places(pod(SERVING, port="9091"))


def test_the_agent_beside_a_server_has_no_page_of_the_servers():
    agent = Container(name="agent", ports=(("agent-port", 9081),))

    assert 9081 not in [place.port for place in places(pod(agent, SERVING))]


def test_a_container_of_any_name_serves_if_there_is_no_other():
    own = Container(name="main", ports=(("", 5000),))
    proxy = Container(name="istio-proxy", ports=(("", 15090),))

    assert places(pod(proxy, own))[0] == Place(5000, "/metrics")


def test_a_container_that_names_no_port_is_asked_at_kserves():
    assert places(pod(Container(name="kserve-container")))[0].port == 8080


@given(st.text(max_size=12), st.text(max_size=300), st.lists(st.integers(), max_size=9))
def test_whatever_is_said_the_places_are_few_and_their_ports_and_paths_legal(
    port, path, ports
):
    container = Container(name="x", ports=tuple(("", number) for number in ports))

    found = places(pod(container, port=port, path=path))

    assert 0 < len(found) <= 8
    assert len(set(found)) == len(found)
    for place in found:
        assert 0 < place.port < 65536
        assert place.path.startswith("/")
        assert place.path.isascii()
        assert place.path.isprintable()
        assert " " not in place.path
