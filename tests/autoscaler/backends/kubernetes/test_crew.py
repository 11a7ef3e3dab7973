from __future__ import annotations

from dataclasses import dataclass, field, replace

from autoscaler.backends.kubernetes.crew import Crew
from autoscaler.backends.kubernetes.facts import Condition, Meta, Pod
from autoscaler.core.domain import Entrance, RevisionKey
from autoscaler.core.frames import Opened

KEY = RevisionKey("production", "iris-predictor")
ENTRANCES = (Entrance(port=20000, name="http"),)


@dataclass
class Link:
    name: str
    address: str = "10.0.0.1"
    connected: bool = True
    leaving: bool = False


@dataclass
class Links:
    there: list[Link] = field(default_factory=list)
    refused: str = ""
    ports: tuple[int, ...] = (20000,)
    silent: bool = False
    said: list[tuple[str, str]] = field(default_factory=list)

    def activators(self):
        return tuple(self.there)

    def opened(self, name, key):
        if self.silent:
            return None
        return Opened(
            key=key, reporter=name, version=1, ports=self.ports, refused=self.refused
        )

    def expect(self, name):
        self.said.append(("expect", name))

    def ended(self, name):
        self.said.append(("ended", name))

    def out(self, name):
        self.said.append(("out", name))


def pod(name: str = "a", **changes) -> Pod:
    made = Pod(meta=Meta(name=name), ips=("10.0.0.1", "fd00::1"), phase="Running")
    return replace(made, **changes)


def crew(*links: Link) -> tuple[Crew, Links]:
    made = Links(list(links))
    there = Crew(made, lambda: None, lambda name: made.said.append(("over", name)))
    there.changed("a", pod())
    return there, made


def names(of: Crew) -> list[str]:
    return [each.name for each in of.standins(KEY, ENTRANCES)]


def test_who_listens_and_comes_from_its_own_pod_can_stand_in():
    there, links = crew(Link("a"))
    assert names(there) == ["a"]
    links.there = [Link("a", address="::ffff:10.0.0.1")]
    assert names(there) == ["a"]
    assert there.standins(KEY, ENTRANCES)[0].ips == ("10.0.0.1", "fd00::1")

    links.refused = "port 8080 is in use"
    assert names(there) == []
    assert there.refusal(KEY) == "a: port 8080 is in use"

    links.refused, links.ports = "", (20001,)
    assert names(there) == []


def test_a_name_without_its_pod_or_its_address_is_nobody():
    there, _ = crew(Link("a", address="10.0.0.66"), Link("stranger"))

    assert names(there) == []


def test_who_leaves_or_is_away_cannot_stand_in():
    there, links = crew(Link("a"))
    for change in ({"leaving": True}, {"connected": False}):
        links.there = [replace(Link("a"), **change)]
        assert names(there) == []

    links.there = [Link("a")]
    there.changed("a", pod(meta=Meta(name="a", deleting=True)))
    assert names(there) == []


def test_who_leaves_is_told_once_when_no_slice_has_it():
    there, links = crew(Link("a", leaving=True))

    assert there.dismiss(lambda ip: ip == "fd00::1")
    assert ("out", "a") not in links.said
    assert not there.dismiss(lambda ip: False)
    assert not there.dismiss(lambda ip: False)

    assert links.said.count(("out", "a")) == 1


def test_a_pod_that_came_is_expected_and_one_that_went_or_ended_has_ended():
    there, links = crew()
    there.replaced({"b": pod("b")})
    assert ("ended", "a") in links.said
    assert ("over", "a") in links.said
    assert ("expect", "b") not in links.said
    ready = (Condition(type="Ready", status="True"),)
    there.changed("b", pod("b", conditions=ready))
    there.changed("b", pod("b", conditions=ready))
    assert links.said.count(("expect", "b")) == 1

    there.changed("b", pod("b", phase="Failed"))
    assert links.said[-2:] == [("ended", "b"), ("over", "b")]

    there.gone("b")
    assert links.said.count(("ended", "b")) == 1


def test_who_came_before_the_pods_were_known_has_ended_if_its_pod_is_not_there():
    links = Links([Link("a"), Link("gone"), Link("failed")])
    there = Crew(links, lambda: None, lambda name: links.said.append(("over", name)))

    there.replaced({"a": pod("a"), "failed": pod("failed", phase="Failed")})

    assert links.said == [
        ("ended", "gone"),
        ("over", "gone"),
        ("ended", "failed"),
        ("over", "failed"),
    ]
    assert names(there) == ["a"]


def test_only_a_pod_of_ours_may_come_and_from_its_own_address():
    there, _ = crew()
    assert there.admits("anybody", "10.9.9.9")

    there.replaced({"a": pod("a")})

    assert there.admits("a", "10.0.0.1")
    assert there.admits("a", "::ffff:10.0.0.1")
    assert not there.admits("a", "10.9.9.9")
    assert not there.admits("scrape", "10.0.0.1")


def test_who_has_not_been_heard_yet_may_stand_in_where_it_did_for_a_while():
    now = 0.0
    links = Links([Link("a", address="", connected=False)], silent=True)
    there = Crew(links, lambda: None, lambda _: None, lambda: now)
    there.changed("a", pod(conditions=(Condition(type="Ready", status="True"),)))

    (found,) = there.standins(KEY, ENTRANCES)
    assert (found.name, found.heard) == ("a", False)

    links.silent, links.there = False, [Link("a")]
    (found,) = there.standins(KEY, ENTRANCES)
    assert found.heard

    links.silent, now = True, 15.0
    assert there.standins(KEY, ENTRANCES) == ()
