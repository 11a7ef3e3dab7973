"""The command `fromzero`: what it cannot do it says in a line, never in a traceback."""

from __future__ import annotations

import os
import sys

from autoscaler.errors import BadInput
from fromzero.commands import app
from fromzero.errors import CommandError

_BAD = 2  # As for a wrong option: the user must change something.
_INTERRUPTED = 130  # 128 + SIGINT, as shells have it.
_CUT_OFF = 141  # 128 + SIGPIPE: whoever read the output has left.


def main() -> None:
    """Run the command that the arguments say."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # Here, where a reader that left can be told from a bug.
    except (CommandError, BadInput) as error:
        print(error, file=sys.stderr)
        sys.exit(_BAD)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # Else Python complains when it flushes stdout once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_CUT_OFF)


if __name__ == "__main__":
    main()
