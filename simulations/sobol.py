"""Points that fill a space evenly: Sobol's sequence, in up to eight dimensions."""

from __future__ import annotations

_BITS = 30
# Degree and coefficients of a primitive polynomial, and the first direction numbers, by
# S. Joe and F. Y. Kuo (2008), for each dimension after the first.
_DIRECTIONS = (
    (1, 0, (1,)),
    (2, 1, (1, 3)),
    (3, 1, (1, 3, 1)),
    (3, 2, (1, 1, 1)),
    (4, 1, (1, 1, 3, 3)),
    (4, 4, (1, 3, 5, 13)),
    (5, 2, (1, 1, 5, 5, 17)),
)


def sobol(dimensions: int, count: int) -> list[tuple[float, ...]]:
    """Return the first *count* points in [0, 1) after the origin.

    >>> sobol(2, 3)
    [(0.5, 0.5), (0.75, 0.25), (0.25, 0.75)]
    """
    if not 1 <= dimensions <= len(_DIRECTIONS) + 1:
        raise ValueError(f"{dimensions} dimensions: from 1 to {len(_DIRECTIONS) + 1}")
    columns = [[1 << (_BITS - bit) for bit in range(1, _BITS + 1)]]
    columns += [_column(*each) for each in _DIRECTIONS[: dimensions - 1]]
    at = [0] * dimensions
    found = []
    for number in range(count):
        zero = (~number & (number + 1)).bit_length() - 1
        at = [x ^ column[zero] for x, column in zip(at, columns, strict=True)]
        found.append(tuple(x / (1 << _BITS) for x in at))
    return found


def _column(degree: int, polynomial: int, begin: tuple[int, ...]) -> list[int]:
    numbers = [m << (_BITS - bit) for bit, m in enumerate(begin, 1)]
    for bit in range(degree, _BITS):
        number = numbers[bit - degree] ^ (numbers[bit - degree] >> degree)
        for place in range(1, degree):
            if polynomial >> (degree - 1 - place) & 1:
                number ^= numbers[bit - place]
        numbers.append(number)
    return numbers
