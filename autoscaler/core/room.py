"""Who gets a machine's room: a start that fits, in order; else who has to make room.

An idle revision goes to sleep for a start, the one that was idle longest first. A busy
one does only for a start that nobody serves and that has waited out the patience; what
a start waits for is put aside, so that none that came later takes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from autoscaler.core.domain import Budget, Needs, RevisionKey

_NAMES = 3
"""Revisions named in a reason; the others are counted."""

_LATELY_S = 2.0
"""Who had a request so lately may well have others: short ones come and end between two
reports."""

Size = tuple[float, float]
"""Memory and GPUs; inf: not limited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A revision that takes room."""

    key: RevisionKey
    needs: Needs
    """Of each replica."""
    staying: int
    """Replicas that nobody has asked to go."""
    going: int = 0
    """Replicas that drain or were told to stop: they take room until they are gone."""
    floor: int = 0
    """Replicas that it always keeps."""
    idle: bool = False
    """It has no request."""
    used_at: float = 0.0
    """When it last had one."""
    ready_at: float = inf
    """Since when it serves; inf: it does not, so a wake that has begun can end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A revision that wants more replicas than it has."""

    key: RevisionKey
    needs: Needs
    lack: int
    since: float
    starved: bool
    """It has none at all, so there are requests that nobody serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Yield:
    """Have *key* keep only *keep* replicas, to make room for *to*."""

    key: RevisionKey
    to: RevisionKey
    keep: int
    busy: bool
    """It has requests: those in flight end first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What becomes of one wish."""

    key: RevisionKey
    start: int = 0
    """Replicas to start now."""
    reason: str = ""
    """Why not all of them, in words."""
    never: bool = False
    """It cannot fit, whoever goes of those that may."""
    final: bool = False
    """It cannot fit if all go."""
    again_at: float = inf
    """Ask again then, even if nothing has changed."""


@dataclass(slots=True)
class _Room:
    """What is free, what will be, and who takes the rest; spoken for wish by wish."""

    budget: Budget
    now: float
    real: Size
    """Free at this moment."""
    free: Size
    """Less what was put aside for earlier wishes."""
    coming: Size
    """Will be free once those are gone who are going."""
    tenants: dict[RevisionKey, Tenant]
    going: list[RevisionKey]
    ahead: list[RevisionKey] = field(default_factory=list)
    yields: list[Yield] = field(default_factory=list)


def place(
    budget: Budget, tenants: Iterable[Tenant], wishes: Iterable[Wish], now: float
) -> tuple[list[Answer], list[Yield]]:
    """Answer each wish: those that nobody serves first, then in order.

    >>> gib = Needs(memory=1 << 30)
    >>> llm = Tenant(key=RevisionKey("default", "llm"), needs=gib, staying=1)
    >>> iris = RevisionKey("default", "iris")
    >>> wish = Wish(key=iris, needs=gib, lack=1, since=0.0, starved=True)
    >>> answers, _ = place(Budget(memory=1 << 30), [llm], [wish], now=1.0)
    >>> answers[0].reason
    'waits for room: 1 GiB needed, 0 free; default/llm is starting'
    """
    room = _room(budget, tenants, now)
    ordered = sorted(wishes, key=lambda wish: (not wish.starved, wish.since, wish.key))
    return [_answer(room, wish) for wish in ordered], room.yields


def _room(budget: Budget, tenants: Iterable[Tenant], now: float) -> _Room:
    by_key = {each.key: each for each in tenants}
    real = (
        inf if budget.memory is None else float(budget.memory),
        inf if budget.gpus is None else float(budget.gpus),
    )
    coming = (0.0, 0.0)
    for each in by_key.values():
        real = _less(real, each.needs, each.staying + each.going)
        coming = _less(coming, each.needs, -each.going)
    going = [each.key for each in by_key.values() if each.going]
    return _Room(budget, now, real, real, coming, by_key, going)


def _answer(room: _Room, wish: Wish) -> Answer:
    if wish.starved and (never := _never(room, wish)):
        return never
    start = 0
    while start < wish.lack and _fits(room.free, wish.needs):
        room.free = _less(room.free, wish.needs, 1)
        room.real = _less(room.real, wish.needs, 1)
        start += 1
    if start == wish.lack:
        return Answer(key=wish.key, start=start)
    who, again_at = _make_room(room, wish, starved=wish.starved and not start)
    answer = Answer(
        key=wish.key,
        start=start,
        reason=f"waits for room: {_lack(room, wish.needs)}{who}",
        again_at=again_at,
    )
    room.free = _less(room.free, wish.needs, 1)
    room.ahead.append(wish.key)
    return answer


def _make_room(room: _Room, wish: Wish, *, starved: bool) -> tuple[str, float]:
    """Have room made for one replica; return who makes or has it, and when to ask."""
    short = _short(room, wish.needs)
    if short == (0.0, 0.0):
        return _who(room.going, "is going", "are going"), inf
    others = [each for each in room.tenants.values() if each.key != wish.key]
    awake = [e for e in others if e.ready_at < inf and e.staying > e.floor]
    idle = [each for each in awake if each.idle]
    idle.sort(key=lambda each: (each.used_at, each.key))
    busy = [each for each in awake if not each.idle]
    busy.sort(key=lambda each: (each.ready_at, each.key))
    if idle and _is_idle(room, wish):
        return "; nobody goes for one more of what has no request", inf

    chosen = _choose(short, idle)
    if not chosen and starved:
        patience_s = room.budget.patience_s
        served = [
            each
            for each in busy
            if max(wish.since, each.ready_at) + patience_s <= room.now
        ]
        chosen = _choose(short, [*idle, *served])
    for each, count in chosen:
        _give_up(room, wish, each, count)
    if chosen:
        return _who([each.key for each, _ in chosen], "makes room", "make room"), inf

    waits = [max(wish.since, each.ready_at) + room.budget.patience_s for each in busy]
    again_at = min((at for at in waits if at > room.now), default=inf)
    if busy:
        who = _who([each.key for each in busy], "is busy", "are busy")
    elif starting := [e.key for e in others if e.staying and e.ready_at == inf]:
        who = _who(starting, "is starting", "are starting")
    else:
        who = _who(room.ahead, "is before it", "are before it")
    return who, again_at if starved else inf


def _is_idle(room: _Room, wish: Wish) -> bool:
    """Say whether more is wanted than is kept always, by who has no requests any more.

    Else two of them would take their last burst's replicas from each other for ever.
    """
    mine = room.tenants.get(wish.key)
    if wish.starved or mine is None:
        return False
    rests = mine.idle and room.now - mine.used_at > _LATELY_S
    return rests and mine.staying >= mine.floor


def _give_up(room: _Room, wish: Wish, tenant: Tenant, count: int) -> None:
    keep = tenant.floor if tenant.idle else tenant.staying - count
    gone = tenant.staying - keep
    room.yields.append(
        Yield(key=tenant.key, to=wish.key, keep=keep, busy=not tenant.idle)
    )
    room.coming = _less(room.coming, tenant.needs, -gone)
    room.going.append(tenant.key)
    room.tenants[tenant.key] = replace(
        tenant, staying=keep, going=tenant.going + gone, floor=keep
    )


def _choose(short: Size, tenants: Sequence[Tenant]) -> list[tuple[Tenant, int]]:
    """Return the first that is enough alone, else the first that are together.

    Each comes with the number of replicas that is enough; empty: all are too few.
    """
    for each in tenants:
        if count := _enough(short, each):
            return [(each, count)]
    chosen: list[tuple[Tenant, int]] = []
    left = short
    for each in tenants:
        most = each.staying - each.floor
        less = _left(left, each, most)
        if less != left:
            chosen.append((each, _enough(left, each) or most))
            left = less
    if left != (0.0, 0.0):
        return []
    for each, count in tuple(chosen):
        # What a later one gives may have made an earlier one's gift needless.
        rest = [other for other in chosen if other != (each, count)]
        left = short
        for tenant, number in rest:
            left = _left(left, tenant, number)
        if left == (0.0, 0.0):
            chosen = rest
    return chosen


def _enough(short: Size, tenant: Tenant) -> int:
    """Return how few replicas of *tenant* are enough; 0: all it can give are not."""
    for count in range(1, tenant.staying - tenant.floor + 1):
        if _left(short, tenant, count) == (0.0, 0.0):
            return count
    return 0


def _left(short: Size, tenant: Tenant, count: int) -> Size:
    memory, gpus = _less(short, tenant.needs, count)
    return (max(0.0, memory), max(0.0, gpus))


def _never(room: _Room, wish: Wish) -> Answer | None:
    """Say why *wish* cannot be met, whoever goes; None: it can."""
    budget = (
        inf if room.budget.memory is None else float(room.budget.memory),
        inf if room.budget.gpus is None else float(room.budget.gpus),
    )
    if not _fits(budget, wish.needs):
        why = f"does not fit: {_compare(wish.needs, budget, 'there is')}"
        return Answer(key=wish.key, reason=why, never=True, final=True)
    kept = []
    for each in room.tenants.values():
        floor = min(each.staying, each.floor)
        if floor and each.key != wish.key and not _yields(room, each):
            kept.append(each.key)
            budget = _less(budget, each.needs, floor)
    if _fits(budget, wish.needs):
        return None
    who = _who(kept, "always keeps the rest", "always keep the rest")
    why = f"waits for room: {_compare(wish.needs, budget, 'can be free')}{who}"
    return Answer(key=wish.key, reason=why, never=True)


def _yields(room: _Room, tenant: Tenant) -> bool:
    return any(each.key == tenant.key for each in room.yields)


def _fits(free: Size, needs: Needs) -> bool:
    # What needs nothing of a kind fits, even where too much of it is given away.
    return (not needs.memory or needs.memory <= free[0]) and (
        not needs.gpus or needs.gpus <= free[1]
    )


def _less(size: Size, needs: Needs, count: int) -> Size:
    return (size[0] - needs.memory * count, size[1] - needs.gpus * count)


def _short(room: _Room, needs: Needs) -> Size:
    """Return what is missing even when all are gone who are going."""
    memory = needs.memory - room.free[0] - room.coming[0] if needs.memory else 0.0
    gpus = needs.gpus - room.free[1] - room.coming[1] if needs.gpus else 0.0
    return (max(0.0, memory), max(0.0, gpus))


def _lack(room: _Room, needs: Needs) -> str:
    if _fits(room.real, needs):
        return "what is free is for those before it"
    return _compare(needs, room.real, "free")


def _compare(needs: Needs, there: Size, verb: str) -> str:
    parts = []
    if needs.memory > there[0]:
        parts.append(_words(_bytes(needs.memory), _bytes(there[0]), verb))
    if needs.gpus > there[1]:
        parts.append(_words(_gpus(needs.gpus), f"{max(0.0, there[1]):g}", verb))
    return " and ".join(parts)


def _words(needed: str, there: str, verb: str) -> str:
    if verb == "free":
        return f"{needed} needed, {there} free"
    return f"{needed} needed, {verb} {there}"


def _bytes(number: float) -> str:
    """Write a size as people do.

    >>> _bytes(3 << 29), _bytes(200 << 20), _bytes(-5)
    ('1.5 GiB', '200 MiB', '0')
    """
    if number <= 0:
        return "0"
    if number >= 1 << 30:
        return f"{number / (1 << 30):.4g} GiB"
    return f"{number / (1 << 20):.4g} MiB"


def _gpus(number: int) -> str:
    return "1 GPU" if number == 1 else f"{number} GPUs"


def _who(keys: Sequence[RevisionKey], one: str, many: str) -> str:
    if not keys:
        return ""
    names = [str(key) for key in keys[:_NAMES]]
    if len(keys) > _NAMES:
        names.append(f"{len(keys) - _NAMES} more")
    if len(names) == 1:
        return f"; {names[0]} {one}"
    return f"; {', '.join(names[:-1])} and {names[-1]} {many}"
