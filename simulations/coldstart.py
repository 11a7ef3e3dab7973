"""How long a start takes: phases one after another, of times or of bytes to load."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import NormalDist

from simulations.chance import quantile

_STEPS = 200
"""A lognormal phase is drawn from so many steps of its quantiles, without the last half
of a step at either end."""
_LONGEST_S = 86_400.0
_UNNAMED = "start"
"""What a part is called that has no name, for chance to be drawn by."""


class ColdStartError(Exception):
    """A text that is no cold start: what, and the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One part of a start."""

    name: str
    """Chance is drawn for it by this name."""
    quantiles: tuple[float, ...] = ()
    """Seconds, at equal steps of the share of starts; one: constant."""
    size: float = 0.0
    """Bytes to load instead, by a bandwidth that starts on the same node share."""

    def draw(self, chance: float) -> float:
        """Return the seconds that belong to a uniform."""
        return quantile(self.quantiles, chance)

    @property
    def mean_s(self) -> float:
        """The mean of what is drawn."""
        few = self.quantiles
        if len(few) < 2:
            return sum(few)
        return (sum(few) - (few[0] + few[-1]) / 2) / (len(few) - 1)


ColdStart = tuple[Phase, ...]


def measured(*quantiles: float) -> ColdStart:
    """Return a start by its quantiles, from the least to the most; one: constant."""
    return (Phase(name=_UNNAMED, quantiles=quantiles),)


A_SECOND: ColdStart = measured(1.0)
AT_ONCE: ColdStart = measured(0.0)


def lognormal(mean_s: float, sd_s: float) -> tuple[float, ...]:
    """Return the quantiles of a lognormal distribution.

    >>> round(Phase(name="", quantiles=lognormal(40.0, 10.0)).mean_s)
    40
    """
    spread = sqrt(log(1.0 + (sd_s / mean_s) ** 2))
    normal = NormalDist(log(mean_s) - spread**2 / 2, spread)
    return tuple(
        exp(normal.inv_cdf((step + 0.5) / (_STEPS + 1))) for step in range(_STEPS + 1)
    )


def mean_s(start: ColdStart) -> float:
    """Return the mean of all phases together."""
    return sum(phase.mean_s for phase in start)


def _fixed(**phases: float) -> ColdStart:
    return tuple(Phase(name=name, quantiles=(s,)) for name, s in phases.items())


_GENTD26 = (1.5, 2.6, 2.8, 3.5, 10.0, 22.7, 29.0, 34.7, 38.5, 42.0, 79.4)
PRESETS: dict[str, ColdStart] = {
    "sleep-mode": (Phase(name="wake", quantiles=(0.26, 0.8, 3.0, 6.0)),),
    "host-cached": (
        *_fixed(process=5.0),
        Phase(name="weights", quantiles=(1.4, 2.3, 2.8, 4.5, 10.0)),
    ),
    "nvme": _fixed(process=7.0, weights=4.4, engine=14.2),
    "object-store": _fixed(process=7.0, weights=15.0, engine=18.0),
    "new-node": (
        Phase(name="node", quantiles=(180.0, 240.0, 330.0, 480.0)),
        *_fixed(image=20.0, process=7.0, weights=15.0, engine=18.0),
    ),
    "gentd26": (Phase(name="weights", quantiles=_GENTD26),),
}
"""By name; docs/coldstart.md says where each figure is from."""

NODE, IMAGE, WEIGHTS = "node", "image", "weights"
"""Phases that nodes know: see simulations.starting."""
NAMES = ("schedule", NODE, IMAGE, "process", WEIGHTS, "engine", "warmup")
"""What a part may be called."""
_SIZED = (IMAGE, WEIGHTS)

_SIZE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?(k|M|G|T|Ki|Mi|Gi|Ti)?B")
_BYTES = {
    None: 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip
_NUMBER = r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h)?"
_CALL = re.compile(r"([A-Za-z]+)\(([^()]*)\)")
_TIME = r"\d{1,9}(?:\.\d{1,6})?(?:ms|s|m|h)"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
_GRAMMAR = (
    "must be parts with + between them, each a duration (37s, 1m30s), "
    "lognormal(MEAN,SD), quantiles(LEAST,…,MOST), a phase by its name "
    "(engine(14s), weights(15GB)) or a preset: "
)


def parse(text: str) -> ColdStart:
    """Return the start that *text* says; ColdStartError: it says none.

    >>> [phase.name for phase in parse("nvme")]
    ['process', 'weights', 'engine']
    >>> round(mean_s(parse("1m30s + quantiles(10s,20s)")), 1)
    105.0
    """
    phases: list[Phase] = []
    for place, part in enumerate(text.split("+")):
        name = _UNNAMED if not place else f"{_UNNAMED}-{place + 1}"
        said = part.strip()
        if said in PRESETS:
            phases += PRESETS[said]
            continue
        call = _CALL.fullmatch(said)
        if call is not None and call[1] in NAMES:
            phases.append(_named(call[1], call[2].strip(), text))
        else:
            phases.append(Phase(name=name, quantiles=_part(said, text)))
    names = [phase.name for phase in phases]
    for name in names:
        if names.count(name) > 1:
            raise ColdStartError(
                f"{text!r}: {names.count(name)} parts are {name!r}, presets' included; "
                "once is enough"
            )
    return tuple(phases)


def size(text: str) -> float | None:
    """Return bytes; None: the text is no size of some.

    >>> size("15 GB"), size("1.5KiB"), size("15"), size("15Gb"), size("0GB")
    (15000000000.0, 1536.0, None, None, None)
    """
    found = _SIZE.fullmatch(text)
    return (float(found[1]) * _BYTES[found[2]] or None) if found else None


def in_bytes(size: float) -> str:
    """Return a size for a person.

    >>> in_bytes(15e9), in_bytes(1.25e9), in_bytes(2e6), in_bytes(8.0)
    ('15 GB', '1.25 GB', '2 MB', '8 B')
    """
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.4g} {unit}"
    return f"{size:g} B"


def describe(start: ColdStart) -> str:
    """Return a start in words.

    >>> describe(parse("nvme")), describe(parse("37s"))
    ('process 7 s, weights 4.4 s, engine 14.2 s', '37 s')
    """
    said = []
    for phase in start:
        if phase.size:
            said.append(f"{phase.name} {in_bytes(phase.size)}")
            continue
        few = phase.quantiles
        shown = f"{few[0]:.3g}"
        if len(few) > 1:
            shown += f" to {few[-1]:.3g} s, mean {phase.mean_s:.3g}"
        name = "" if phase.name.startswith(_UNNAMED) else f"{phase.name} "
        said.append(f"{name}{shown} s")
    return ", ".join(said)


def _named(name: str, said: str, whole: str) -> Phase:
    """Return a phase that is called by its name, with a time, quantiles or a size."""
    found = size(said)
    if found is not None and name in _SIZED:
        return Phase(name=name, size=found)
    rule = "must have a time (15s) or quantiles (10s,15s,40s)"
    if name in _SIZED:
        rule = "must have a time (15s), quantiles (10s,15s,40s) or a size (15GB, bytes)"
    parts = [each.strip() for each in said.split(",")]
    if all(re.fullmatch(f"(?:{_TIME})+", each) for each in parts):
        times = tuple(_duration(each, whole) for each in parts)
        if times == tuple(sorted(times)):
            return Phase(name=name, quantiles=times)
        rule = "quantiles must ascend"
    where = "" if f"{name}({said})" == whole else f" in {whole!r}"
    raise ColdStartError(f"'{name}({said})'{where}: {rule}")


def _part(said: str, whole: str) -> tuple[float, ...]:
    call = _CALL.fullmatch(said)
    if call is None:
        return (_duration(said, whole),)
    if call[1] not in ("lognormal", "quantiles"):
        raise ColdStartError(
            f"{said!r}: must be lognormal, quantiles or one of {', '.join(NAMES)}"
        )
    numbers = [_duration(each.strip(), whole) for each in call[2].split(",")]
    if call[1] == "lognormal" and len(numbers) == 2 and min(numbers) > 0:
        return lognormal(*numbers)
    if call[1] == "quantiles" and len(numbers) >= 2 and numbers == sorted(numbers):
        return tuple(numbers)
    raise _bad(said, whole)


def _duration(said: str, whole: str) -> float:
    if re.fullmatch(f"(?:{_NUMBER})+", said) is None:
        raise _bad(said, whole)
    found = sum(
        float(n) * _UNITS[unit or None] for n, unit in re.findall(_NUMBER, said)
    )
    if found > _LONGEST_S:
        raise ColdStartError(f"{said!r} in {whole!r}: must be a day at most")
    return found


def _bad(said: str, whole: str) -> ColdStartError:
    where = "" if said == whole else f" in {whole!r}"
    return ColdStartError(f"{said!r}{where}: {_GRAMMAR}{', '.join(PRESETS)}")
