"""When activators stand in for the pods behind one revision's Service, and when not.

    aside --must stand in--> standing --need not, and the Service's own slices have
      ^                         |         shown every port ready for 5 s
      '-------------------------'

Standing, our slices list the activators that have acknowledged the revision; aside,
they list nobody, and what still comes by an old connection is served and let go.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

STEADY_S = 5.0
"""So long the Service's own slices must have shown every port ready: as far as clients
lag behind what the API server says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is known of one revision at one moment."""

    ready: int
    desired: int
    """Replicas that it is to have, after bounds and room."""
    covered: bool
    """The Service's own slices show a ready endpoint on every port."""
    activators: tuple[str, ...] = ()
    """Those that have acknowledged all entrances and are not on their way out."""
    listed: bool = False
    """Our slices, as they were watched, list one of them on every port."""
    burst: float = 0.0
    """target-burst-capacity."""
    excess: int = 0
    """Requests that could come on top of that, of the newest decision."""
    min_replicas: int = 0
    grace_s: float = 30.0
    leaves: bool = False
    """It is being let go: activators stand in only while nobody else can serve."""
    vain: bool = False
    """Its starts fail for good: who lets it go waits no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stance:
    """How activators stand to one revision."""

    lists: tuple[str, ...] = ()
    """Activators to list in our slices, in order."""
    aside: bool = False
    """What `View.aside` says."""
    keeps: str = ""
    """Why it must not go to zero now; empty: it may."""
    why: str = ""
    """Why it is so, in words."""

    @property
    def published(self) -> bool:
        """Whether our slices list anybody."""
        return bool(self.lists)


class Redirect:
    """Follow the scene of one revision; asking twice at one moment changes nothing."""

    __slots__ = ("_clear_since", "_listed_since", "_stands", "wake_at")

    def __init__(self, *, published: bool) -> None:
        self._stands = published
        """From the start if our slices list somebody: another process may have."""
        self._clear_since = inf
        """Since when nobody needs to stand in, and the Service shows every port."""
        self._listed_since = inf
        self.wake_at = inf
        """When `look` is wanted next, if the scene stays as it is."""

    def look(self, scene: Scene, now: float) -> Stance:
        """Return how to stand from now on."""
        why = _needs(scene)
        if why:
            self._stands = True
            self._clear_since = inf
        elif self._stands:
            self._clear_since = min(self._clear_since, now)
            if now >= self._clear_since + STEADY_S:
                self._stands = False
                self._clear_since = inf
            else:
                why = f"replicas show on every port for less than {STEADY_S:g} s"
        if self._stands and scene.activators and scene.listed:
            self._listed_since = min(self._listed_since, now)
        else:
            self._listed_since = inf
        self.wake_at = self._clear_since + STEADY_S
        return Stance(
            lists=tuple(sorted(scene.activators)) if self._stands else (),
            aside=not self._stands,
            keeps=self._keeps(scene, now),
            why=why or "replicas serve by themselves",
        )

    def _keeps(self, scene: Scene, now: float) -> str:
        if scene.leaves:
            return "it is being let go"
        if scene.min_replicas:
            return ""
        if self._listed_since == inf:
            return "no activator stands in for it"
        may_at = self._listed_since + scene.grace_s
        if now >= may_at:
            return ""
        self.wake_at = min(self.wake_at, may_at)
        return f"activators stand in for less than {scene.grace_s:g} s"


def _needs(scene: Scene) -> str:
    """Say why activators must stand in; empty: they need not."""
    if scene.leaves and scene.vain:
        return ""
    if scene.ready <= 0:
        return "no replica is ready"
    if not scene.covered:
        return "the Service's own slices do not show every port ready"
    if scene.leaves:
        return ""
    if scene.ready == 1:
        return "only one replica is ready"
    if scene.desired <= 1:
        return f"{scene.desired} wanted"
    if scene.burst < 0:
        return "target-burst-capacity is -1"
    if scene.burst > 0 and scene.excess < 0:
        return f"excess burst capacity is {scene.excess}"
    return ""
