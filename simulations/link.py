"""A bandwidth that those who load at one time share equally, at every instant.

Everybody who is there gets the same bytes, so one number says how far all are: what
somebody would have got who has been there since the link was last free. A load ends
when that number has grown by its size; who comes or goes changes how fast it grows.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from math import inf


class Link:
    """Loads by whatever stands for them, each once at a time.

    >>> link = Link(1e9)
    >>> link.begin("a", 10e9, now=0.0)
    >>> link.begin("b", 10e9, now=5.0)
    >>> link.next_at, link.ended(15.0), link.next_at
    (15.0, ['a'], 20.0)
    """

    __slots__ = ("_bandwidth", "_following", "_got", "_loads", "_since", "_targets")

    def __init__(self, bandwidth: float) -> None:
        if not bandwidth > 0.0:
            raise ValueError(f"a link of {bandwidth:g} bytes/s: must be more than 0")
        self._bandwidth = bandwidth
        self._got = 0.0
        """Bytes that each has got by *_since* that was there from the begin."""
        self._since = 0.0
        self._loads: list[tuple[float, int, object]] = []
        """Those there may be, by what *_got* will be at their ends, then in order."""
        self._targets: dict[object, int] = {}
        """The number of the load of each that there is."""
        self._following = count(1).__next__

    def begin(self, load: object, size: float, now: float) -> None:
        """Begin to load *size* bytes, which must be more than 0."""
        self._go_on(now)
        number = self._following()
        self._targets[load] = number
        heappush(self._loads, (self._got + size, number, load))

    def cancel(self, load: object, now: float) -> None:
        """Load the rest no more; one that has ended, or never began, is none."""
        if load in self._targets:
            self._go_on(now)
            del self._targets[load]
            self._drop()

    def ended(self, now: float) -> list[object]:
        """Return the loads that have ended by *now*, which is no later than next_at."""
        found: list[object] = []
        due = self.next_at <= now
        self._go_on(now)
        if due:
            # What is rounded off must not keep the first of them from its end.
            self._got = max(self._got, self._loads[0][0])
        while self._loads and self._loads[0][0] <= self._got:
            load = heappop(self._loads)[2]
            del self._targets[load]
            found.append(load)
            self._drop()
        return found

    @property
    def next_at(self) -> float:
        """When the next load ends if nobody comes or goes; inf: there is none."""
        if not self._loads:
            return inf
        left = max(0.0, self._loads[0][0] - self._got)
        return self._since + left * len(self._targets) / self._bandwidth

    def _go_on(self, now: float) -> None:
        if self._targets and self._bandwidth < inf:
            self._got += (now - self._since) * self._bandwidth / len(self._targets)
        self._since = now

    def _drop(self) -> None:
        """Forget loads at the front that were taken back; begin anew without any."""
        loads = self._loads
        while loads and self._targets.get(loads[0][2]) != loads[0][1]:
            heappop(loads)
        if not loads:
            self._got = 0.0
