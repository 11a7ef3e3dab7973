"""A program that serves, in a process without what reads the command line.

Typer with its parts takes 17 MB and is needed for a moment; what waits for requests
may take 40 in all. So the process that has read its arguments becomes this one: same
number, same arguments, same terminal.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

_FLAGS = "FROMZERO_FLAGS"


def become(flags: str) -> NoReturn:
    """Run the program of *flags* (of `flags.dumps`) in this process, begun anew."""
    sys.stdout.flush()
    # -P: a yaml.py in the directory that fromzero is started in is not ours.
    command = [sys.executable, "-P", __file__, *sys.argv[1:]]
    os.execve(sys.executable, command, {**os.environ, _FLAGS: flags})


def main() -> None:
    """Take what `become` has left, and serve."""
    from fromzero.errors import ending
    from fromzero.flags import loads

    with ending():
        flags = loads(os.environ.pop(_FLAGS))
        # Neither loads what only the other needs.
        if flags.command == "activator":
            from fromzero.activator import run
        elif flags.command == "autoscaler":
            from fromzero.autoscaler import run
        else:
            from fromzero.up import run
        run(flags)


if __name__ == "__main__":
    if find_spec("fromzero") is None:  # It runs from its sources, not installed.
        sys.path.append(str(Path(__file__).resolve().parent.parent))
    main()
