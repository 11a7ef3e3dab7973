"""Why a start failed, in one line for a person."""

from __future__ import annotations

import os
import re
import signal

from autoscaler.backends.process import Ended, Order

_LINE = 200
_BEFORE = 2
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
_TAKEN = re.compile(
    r"address already in use|EADDRINUSE|errno (?:98|48)\b|WinError 10048"
    r"|(?:could ?n[o']t|cannot|failed to) bind|port \S* ?is (?:already )?in use",
    re.IGNORECASE,
)


def why(order: Order, ended: Ended) -> str:
    """Say how the process of *order* ended, with its last lines.

    >>> why(Order(argv=("serve",), env={}), Ended(status=1, tail=("a", "no model")))
    'exit status 1: no model (before it: a)'
    >>> why(Order(argv=("serve",), env={}), Ended(status=None, errno=2, step="exec"))
    'serve: command not found in PATH'
    """
    if ended.errno:
        return _unable(order, ended)
    how = "ended unseen: its keeper was killed"
    match ended.status:
        case None:
            pass
        case status if status >= 0:
            how = f"exit status {status}"
        case status:
            how = _killed(-status)
    lines = [clean(line) for line in ended.tail]
    lines = [line for line in lines if line]
    if not lines:
        return how if ended.status is None else f"{how}, without a word"
    *_, last = lines
    before = " | ".join(lines[-1 - _BEFORE : -1])
    return f"{how}: {last}" + (f" (before it: {before})" if before else "")


def port_was_taken(ended: Ended) -> bool:
    """Tell whether it ended because somebody else has its port."""
    return not ended.errno and any(_TAKEN.search(line) for line in ended.tail)


def clean(line: str, limit: int = _LINE) -> str:
    """Return *line* without colours and control characters, and not too long.

    >>> clean("\\x1b[31mERROR\\x1b[0m: no\\tmodel")
    'ERROR: no\\tmodel'
    """
    text = _CONTROL.sub("", line).strip()
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _unable(order: Order, ended: Ended) -> str:
    said = os.strerror(ended.errno)
    if ended.step == "chdir":
        return f"working directory {order.cwd}: {said}"
    program = order.argv[0]
    if ended.errno == 2:  # ENOENT
        if "/" not in program:
            return f"{program}: command not found in PATH"
        return f"{program}: there is no such program, or its interpreter is missing"
    if ended.errno == 13:  # EACCES
        return f"{program}: not executable (chmod +x it)"
    if ended.errno == 8:  # ENOEXEC
        return f"{program}: not a program (a script begins with #!)"
    return f"{program}: {said}"


def _killed(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    guess = " (out of memory?)" if number == signal.SIGKILL else ""
    return f"killed by {name}{guess}"
