"""What a kubelet says of a pod whose start does not go well, in its own words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from autoscaler.backends.kubernetes.facts import ContainerState, Happened, Pod
from autoscaler.backends.kubernetes.scheduling import is_about
from autoscaler.backends.reasons import clean

HOPELESS = ("InvalidImageName", "ErrImageNeverPull")
"""Trying again cannot help before somebody changes the pod."""

PULL_FAILED = "ErrImagePull"

STUCK = (
    *HOPELESS,
    PULL_FAILED,
    "ImagePullBackOff",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
    "CreateContainerConfigError",
    "CreateContainerError",
)
"""Reasons of a container that waits because something is wrong."""

_LONGEST = 300
_IMAGE = re.compile(r'image "([^"]+)"')
_PULLING = "Pulling"
_PULL_ENDED = ("Pulled", "Failed", "BackOff")
_SAID_ENOUGH = ("", "Error", "Completed")


class Ends(NamedTuple):
    """How often a container has ended as it should not."""

    container: str
    number: int
    words: str
    """Of the last time."""


def ends(pod: Pod, events: Iterable[Happened] = ()) -> Iterator[Ends]:
    """Yield how often each container of *pod* has ended badly since it was made."""
    probes = _unhealthy(pod, events)
    for state in pod.states:
        works_once = state.init and state.name not in pod.sidecars
        is_bad = state.exit_code is not None and not (
            works_once and state.exit_code == 0
        )
        number = state.restarts + (is_bad and not state.running)
        if number:
            yield Ends(state.name, number, _ended(state, probes))


def stuck(pod: Pod) -> Iterator[tuple[ContainerState, str]]:
    """Yield the containers of *pod* that wait because something is wrong, and what."""
    for state in pod.states:
        if state.waiting in STUCK:
            said = f": {state.message}" if state.message else ""
            yield state, line(f"{state.name}: {state.waiting}{said}")


def preparing(pod: Pod) -> Iterator[ContainerState]:
    """Yield the init containers of *pod* that run and must end before it starts."""
    for state in pod.states:
        if state.init and state.running and state.name not in pod.sidecars:
            yield state


def pulling(pod: Pod, events: Iterable[Happened]) -> str:
    """Return the image that a node is pulling for *pod*; empty: none."""
    if not pod.node or any(stuck(pod)):
        return ""
    began: dict[str, float] = {}
    ended: dict[str, float] = {}
    for event in events:
        image = _IMAGE.search(event.message)
        if image is None or not is_about(event, pod):
            continue
        when = began if event.reason == _PULLING else ended
        if when is began or event.reason in _PULL_ENDED:
            when[image[1]] = max(event.at, when.get(image[1], event.at))
    for name, at in began.items():
        # Events have a grain of a second: both at once means that it has ended.
        if name not in ended or at > ended[name]:
            return name
    return ""


def line(words: str) -> str:
    """Return *words* as one line, not too long.

    >>> line("0/1 nodes are available:\\n1 node(s) had a taint.")
    '0/1 nodes are available: 1 node(s) had a taint.'
    """
    return clean(" ".join(words.split()), limit=_LONGEST)


def _ended(state: ContainerState, probes: str) -> str:
    how = f"{state.name}: exit status {state.exit_code}"
    if state.exit_code is None:
        how = f"{state.name}: ended"
    if state.exit_reason not in _SAID_ENOUGH:
        how += f" ({state.exit_reason})"
    *_, last = ["", *(each for each in state.exit_message.splitlines() if each.strip())]
    last = last or probes
    return line(f"{how}: {last}" if last else f"{how}, without a word")


def _unhealthy(pod: Pod, events: Iterable[Happened]) -> str:
    """Return what a probe that had a container killed said last."""
    said = [e for e in events if e.reason == "Unhealthy" and is_about(e, pod)]
    newest = max(said, key=lambda event: event.at, default=None)
    # One of readiness kills nobody.
    if newest is None or newest.message.startswith("Readiness"):
        return ""
    return newest.message
