"""Begin to have what is wanted: drain, keep those that drain, or start."""

from __future__ import annotations

from collections.abc import Iterable

from autoscaler.core.crowd import Crowd
from autoscaler.core.revision import Revision


def fit(of: Revision, crowd: Crowd, reporters: Iterable[str], now: float) -> None:
    """Take the next step from what *of* has to what it wants, as room allows."""
    replicas = of.replicas
    lack = of.want - replicas.active
    if lack < 0:
        if replicas.shrink(-lack, of.reports):
            of.scale = of.scale or of.reason
        of.stale = True
        crowd.changed()
        stop_drained(of, reporters)
    elif lack and replicas.draining:
        lack = replicas.resume(lack)
        of.stale = True
        crowd.changed()
    if lack > 0 and of.backoff.reason:
        # The last start failed: one at a time, until one is ready.
        lack = min(lack, 1 - (replicas.active - replicas.ready))
    if lack <= 0 or now < of.backoff.until:
        crowd.wishes_nothing(of)
    elif crowd.limited:
        crowd.wishes(of, lack, now)
    else:
        of.start(lack, now)


def follow(of: Revision, crowd: Crowd, now: float) -> None:
    """Wake *of* if it is at zero and somebody waits; all else is its leader's.

    So is room, where it is short: the leader would have to undo it.
    """
    waits = not crowd.limited and (of.called or of.reports.wants(now))
    if of.want and waits and not of.replicas.target and now >= of.backoff.until:
        of.start(1, now)


def stop_drained(of: Revision, reporters: Iterable[str]) -> bool:
    """Stop those that drain and have nothing of anybody's; say whether any did."""
    names = of.replicas.drained(reporters, of.reports) if of.replicas.draining else []
    if names:
        of.stop(names)
    return bool(names)


def hush(of: Revision, *, leading: bool) -> None:
    """Command nothing but a wake, if this Fleet follows."""
    if not leading and of.replicas.target != 1:
        of.scale = ""
        of.stops.clear()
