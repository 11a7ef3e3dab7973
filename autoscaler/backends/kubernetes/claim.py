"""Who may lead by a Lease, and until when: client-go's rules, one candidate's view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoscaler.backends.kubernetes.facts import NOTHING
from autoscaler.backends.kubernetes.raw import Raw, part, text, texts, whole
from autoscaler.backends.kubernetes.stamp import stamp

_API = "coordination.k8s.io/v1"
_NEVER = float("-inf")
_MOST = 128 << 10  # Bytes; an object's annotations are refused above 256 KiB.


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Who wants which Lease, and by what times; all candidates go by the same."""

    namespace: str
    name: str
    identity: str
    """Of this process alone: a record with this name in it is taken for its own."""
    duration_s: int = 15
    """A record that has not changed for so long may be taken by anybody."""
    renew_s: float = 10.0
    """Leadership ends so long after the last renewal that succeeded was sent."""
    retry_s: float = 2.0

    def __post_init__(self) -> None:
        if not self.identity:
            raise ValueError("identity is empty, must be a name of this process alone")
        if not 0 < self.retry_s < self.renew_s < self.duration_s:
            raise ValueError(
                f"retry_s, renew_s, duration_s = {self.retry_s:g}, {self.renew_s:g}, "
                f"{self.duration_s}, must be positive and rising"
            )


class Claim:
    """What a candidate knows of the record; no term of one record is led twice.

    No two clocks are compared: a record is as old as it has been seen unchanged, and
    leadership is counted from before a renewal was sent, so the leader stops before
    anybody can see it expired.
    """

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._meta: Raw = NOTHING
        self._spec: Raw = NOTHING
        self._since = _NEVER
        """When the record was last seen to change, or to be gone."""
        self._highest = 0
        self._until = _NEVER
        self._wishes: dict[str, str | None] = {}
        self.exists = False
        self.holder = ""
        self.term = 0
        """Of the holder; 0: nobody has ever held it, as far as is known."""
        self.annotations: Mapping[str, str] = NOTHING
        """As the API server last said."""

    def leading(self, now: float) -> bool:
        return now < self._until

    def left_s(self, now: float) -> float:
        """Return how long the holder's leadership lasts if nobody renews it."""
        if self.leading(now):
            return self._until - now
        if self.exists and self.holder in ("", self._candidate.identity):
            return 0.0
        lasts_s = whole(self._spec, "leaseDurationSeconds") if self.exists else 0
        return max(0.0, self._since + (lasts_s or self._candidate.duration_s) - now)

    def free(self, now: float) -> bool:
        """Say whether the record may be written: it is this candidate's or nobody's."""
        return self.leading(now) or not self.left_s(now)

    def observed(self, found: Raw | None, now: float) -> None:
        """Take the record as it is; None: there is none.

        One that was deleted is waited for as if it had changed: whoever leads by it
        does not know yet.
        """
        if found is None:
            if self.exists:
                self._since = now
            self.exists = False
            self._meta = NOTHING
            return
        self.exists = True
        spec = part(found, "spec")
        if spec != self._spec:
            self._spec, self._since = spec, now
        self._meta = part(found, "metadata")
        self.annotations = texts(self._meta.get("annotations"))
        self.holder = text(spec, "holderIdentity")
        self.term = whole(spec, "leaseTransitions")
        self._highest = max(self._highest, self.term)
        if self.holder != self._candidate.identity:
            self.lose()

    def won(self, answer: Raw, sent: float, now: float) -> None:
        """Take what the server made of a claim that was *sent*."""
        self.observed(answer, now)
        if self.holder == self._candidate.identity:
            self._until = sent + self._candidate.renew_s

    def lose(self) -> None:
        self._until = _NEVER
        self._wishes.clear()

    def annotate(self, key: str, value: str | None) -> bool:
        """Have *value* in each claim from now on; say whether the record lacks it."""
        wishes = {**self._wishes, key: value}
        size = sum(len(k.encode()) + len((v or "").encode()) for k, v in wishes.items())
        if size > _MOST:
            raise ValueError(
                f"{key}: annotations of {size} bytes, must be at most {_MOST}"
            )
        self._wishes = wishes
        return self.annotations.get(key) != value

    def claimed(self, now: float, wall: float) -> dict[str, Any]:
        """Return the record as it is to be for this candidate to lead."""
        spec = {
            **self._spec,
            "holderIdentity": self._candidate.identity,
            "leaseDurationSeconds": self._candidate.duration_s,
            "renewTime": stamp(wall),
        }
        if not self.leading(now):
            spec["acquireTime"] = stamp(wall)
            # Minutes since 1970 too, so that it rises where a Lease was deleted: those
            # who hear a leader hear none of an older term again.
            spec["leaseTransitions"] = max(self._highest + 1, int(wall // 60))
        noted = {**texts(self._meta.get("annotations")), **self._wishes}
        kept = {key: value for key, value in noted.items() if value is not None}
        return self._record({**self._meta, "annotations": kept}, spec)

    def released(self, wall: float) -> dict[str, Any]:
        """Return the record as it is to be for anybody to take."""
        spec = {
            **self._spec,
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "renewTime": stamp(wall),
        }
        return self._record(self._meta, spec)

    def _record(self, meta: Raw, spec: Raw) -> dict[str, Any]:
        where = {"namespace": self._candidate.namespace, "name": self._candidate.name}
        return {
            "apiVersion": _API,
            "kind": "Lease",
            "metadata": {**meta, **where},
            "spec": dict(spec),
        }
