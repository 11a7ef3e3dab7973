"""Who may be greeted now, of those that nobody knows yet: a few, and fewer of each."""

from __future__ import annotations

from collections import OrderedDict

from autoscaler.bucket import Bucket


class Porch:
    """Places for *most* at one time; an address fails *each* times, then now and then.

    What was not ended counts as failed, so that no address can take all the places.

    >>> porch = Porch(each=1, again_s=2.0)
    >>> porch.comes("a", 0.0), porch.comes("b", 0.0)
    ('', '')
    >>> porch.goes("b", 0.0, known=True)
    >>> porch.comes("a", 1.0), porch.comes("b", 1.0)
    ('too many of your greetings failed', '')
    """

    __slots__ = ("_again_s", "_each", "_here", "_most", "_remembered", "_seen")

    def __init__(
        self,
        *,
        most: int = 64,
        each: int = 16,
        again_s: float = 2.0,
        remembered: int = 1024,
    ) -> None:
        self._most = most
        self._each = each
        self._again_s = again_s
        """One failure of an address is forgotten so often: an activator whose secret is
        old comes once in 2.5 s or more."""
        self._remembered = remembered
        self._here = 0
        self._seen: OrderedDict[str, Bucket] = OrderedDict()
        """Of addresses, the one that came longest ago first; more are forgotten."""

    def comes(self, address: str, now: float) -> str:
        """Let somebody in who is to be greeted; or return why not."""
        if self._here >= self._most:
            return "too many come at one time"
        bucket = self._seen.pop(address, None) or Bucket(self._each, self._again_s)
        self._seen[address] = bucket
        if len(self._seen) > self._remembered:
            self._seen.popitem(last=False)
        if bucket.ready_at(now) > now:
            return "too many of your greetings failed"
        bucket.take(1, now)
        self._here += 1
        return ""

    def goes(self, address: str, now: float, *, known: bool) -> None:
        """Have the place again of who was let in; *known*: it was not in vain."""
        self._here -= 1
        bucket = self._seen.get(address)
        if known and bucket is not None:
            bucket.take(-1, now)
