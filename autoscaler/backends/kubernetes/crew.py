"""The activators: pods that are watched, and links that they keep."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from autoscaler.backends.kubernetes.facts import Pod
from autoscaler.backends.kubernetes.slices import Standin
from autoscaler.clock import Clock, monotonic
from autoscaler.core.domain import Entrance, RevisionKey
from autoscaler.core.frames import Opened

_log = logging.getLogger(__name__)

SELECTOR = "app.kubernetes.io/name=fromzero,app.kubernetes.io/component=activator"
"""Labels of the activators' pods."""

_ENDED = ("Failed", "Succeeded")
_HEARD_S = 15.0
"""An activator looks for autoscalers that are new each 7.5 s at most."""


class Linked(Protocol):
    """One activator that has a link."""

    @property
    def name(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def connected(self) -> bool: ...
    @property
    def leaving(self) -> bool: ...


class Links(Protocol):
    """What is asked of the links, and told to them."""

    def activators(self) -> tuple[Linked, ...]:
        """Return all that are there."""

    def opened(self, name: str, key: RevisionKey) -> Opened | None:
        """Return where an activator said that it listens for *key*."""

    def expect(self, name: str) -> None:
        """Know that an activator of that name is there."""

    def ended(self, name: str) -> None:
        """Know that the process of that name has ended."""

    def out(self, name: str) -> None:
        """Tell an activator that no client is led to it."""


class Crew:
    """Know who can stand in: a pod of ours whose own link came from its address.

    A name alone says nothing: whoever knows the secret could say any. A reflector's
    sink for the activators' pods.
    """

    def __init__(
        self,
        links: Links,
        changed: Callable[[], None],
        ended: Callable[[str], None],
        clock: Clock = monotonic,
    ) -> None:
        self._links = links
        self._changed = changed
        self._ended = ended
        """Told of each whose process is no more."""
        self._clock = clock
        self._pods: dict[str, Pod] = {}
        self._since: dict[str, float] = {}
        """When each was seen first."""
        self._known = False
        """They were listed, once at least."""
        self._out: set[str] = set()
        """Those that were told that they are out."""
        self._odd: dict[str, str] = {}
        """Addresses that were logged for not being their pods'."""

    # What a reflector tells.

    def replaced(self, items: Mapping[str, Pod]) -> None:
        self._known = True
        for name in self._pods.keys() - items.keys():
            self._gone(name)
        for name, pod in items.items():
            self._came(name, pod)
        for each in self._links.activators():
            # It may have come before the pods were known.
            if each.name not in self._pods:
                self._over(each.name)
        self._changed()

    def changed(self, name: str, item: Pod) -> None:
        self._came(name, item)
        self._changed()

    def gone(self, name: str) -> None:
        self._gone(name)
        self._changed()

    # What is asked.

    def admits(self, name: str, address: str) -> bool:
        """Say whether an activator's link may come from *address*: only its pod's.

        Before the pods are known nobody is turned away: who leads waits for them.
        """
        if not self._known:
            return True
        pod = self._pods.get(name)
        return pod is not None and _plain(address) in pod.ips

    def standins(
        self, key: RevisionKey, entrances: tuple[Entrance, ...]
    ) -> tuple[Standin, ...]:
        """Return those that listen on all *entrances* of *key*, and stay.

        And those that have not been heard yet: who has just begun to look cannot know.
        """
        ports = tuple(sorted(each.port for each in entrances))
        found = []
        for each in self._links.activators():
            pod = self._pods.get(each.name)
            if pod is None or self._leaves(each, pod):
                continue
            opened = self._links.opened(each.name, key)
            if opened is None and self._may_come(pod):
                found.append(Standin(name=each.name, ips=pod.ips, heard=False))
                continue
            if not each.connected or not self._is_at_home(each, pod):
                continue
            if opened is None or opened.refused:
                continue
            if tuple(sorted(opened.ports)) == ports:
                found.append(Standin(name=each.name, ips=pod.ips))
        return tuple(found)

    def refusal(self, key: RevisionKey) -> str:
        """Return why an activator cannot listen for *key*; empty: none said so."""
        for each in self._links.activators():
            opened = self._links.opened(each.name, key)
            if opened is not None and opened.refused:
                return f"{each.name}: {opened.refused}"
        return ""

    def dismiss(self, listed: Callable[[str], bool]) -> bool:
        """Tell those on their way out that they are out, once no slice has them.

        *listed* says whether any slice has an address; True: somebody still waits.
        """
        waits = False
        for each in self._links.activators():
            pod = self._pods.get(each.name)
            if pod is None or not self._leaves(each, pod) or each.name in self._out:
                continue
            if any(listed(ip) for ip in pod.ips):
                waits = True
            else:
                self._out.add(each.name)
                self._links.out(each.name)
        return waits

    def _may_come(self, pod: Pod) -> bool:
        return pod.ready and self._clock() < self._since[pod.meta.name] + _HEARD_S

    def _is_at_home(self, link: Linked, pod: Pod) -> bool:
        if _plain(link.address) in pod.ips:
            return True
        if self._odd.get(link.name) != link.address:
            self._odd[link.name] = link.address
            _log.warning(
                "activator not at its address name=%s address=%s pod=%s",
                link.name, link.address, ",".join(pod.ips),
            )  # fmt: skip
        return False

    def _leaves(self, link: Linked, pod: Pod) -> bool:
        return link.leaving or pod.meta.deleting

    def _came(self, name: str, pod: Pod) -> None:
        if pod.phase in _ENDED:
            self._gone(name)
            return
        before = self._pods.get(name)
        self._pods[name] = pod
        self._since.setdefault(name, self._clock())
        if pod.ready and not (before and before.ready):
            # It may have been told things by a leader before this one.
            self._links.expect(name)

    def _gone(self, name: str) -> None:
        if self._pods.pop(name, None) is not None:
            self._over(name)

    def _over(self, name: str) -> None:
        self._out.discard(name)
        self._since.pop(name, None)
        self._odd.pop(name, None)
        self._links.ended(name)
        self._ended(name)


def _plain(address: str) -> str:
    """Return an IPv4 address that came by a socket of both families as it is."""
    return address.removeprefix("::ffff:")
