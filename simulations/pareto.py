"""Which of many choices nobody beats in both of two figures; where the curve bends."""

from __future__ import annotations

from collections.abc import Sequence

Pair = tuple[float, float]


def front(pairs: Sequence[Pair]) -> list[int]:
    """Return the places of those than which no other is better in one figure and as
    good in the other; of equal ones the first. They ascend in the first figure.

    >>> front([(1.0, 9.0), (2.0, 9.0), (3.0, 1.0), (3.0, 1.0)])
    [0, 2]
    """
    order = sorted(range(len(pairs)), key=lambda place: (*pairs[place], place))
    found: list[int] = []
    least = float("inf")
    for place in order:
        if pairs[place][1] < least:
            least = pairs[place][1]
            found.append(place)
    return found


def knee(pairs: Sequence[Pair], places: Sequence[int]) -> int:
    """Return which of a front's *places* is farthest below the line between its ends.

    >>> knee([(0.0, 10.0), (1.0, 1.0), (10.0, 0.0)], [0, 1, 2])
    1
    """
    (x0, y0), (x1, y1) = pairs[places[0]], pairs[places[-1]]
    wide, high = (x1 - x0) or 1.0, (y0 - y1) or 1.0

    def below(place: int) -> float:
        x, y = pairs[place]
        return 1.0 - (x - x0) / wide - (y - y1) / high

    return max(places, key=lambda place: (below(place), -place))


def covered(pairs: Sequence[Pair], most: Pair) -> float:
    """Return the share of the field up to *most* in which something is at least as good
    in both figures: how much of what one could wish for there is.

    >>> covered([(1.0, 3.0), (2.0, 1.0), (9.0, 0.0)], (4.0, 4.0))
    0.4375
    """
    area, low = 0.0, most[1]
    for place in front(pairs):
        x, y = pairs[place]
        if x < most[0] and y < low:
            area += (most[0] - x) * (low - y)
            low = y
    return area / (most[0] * most[1])
