"""What the command line says in one line and ends with.

CommandError           the user must change something: exit status 2
└── NotReachableError  no fromzero answers on the admin port
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from autoscaler.errors import BadInput
from fromzero.printable import printable

_BAD = 2  # As for a wrong option: the user must change something.
_INTERRUPTED = 130  # 128 + SIGINT, as shells have it.
_CUT_OFF = 141  # 128 + SIGPIPE: whoever read the output has left.


class CommandError(Exception):
    """One line, or one for each problem, that tells what to do."""


class NotReachableError(CommandError):
    """No fromzero answers on the admin port."""


@contextmanager
def ending() -> Iterator[None]:
    """End the process as the error says that comes out of what is done here."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # Here, where a reader that left can be told from a bug.
    except (CommandError, BadInput) as error:
        for line in str(error).split("\n"):
            print(printable(line), file=sys.stderr)
        sys.exit(_BAD)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # Else Python complains when it flushes stdout once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_CUT_OFF)
