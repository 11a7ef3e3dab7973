"""The command `fromzero`: what it cannot do it says in a line, never in a traceback."""

from __future__ import annotations

from fromzero.commands import app
from fromzero.errors import ending


def main() -> None:
    """Run the command that the arguments say."""
    with ending():
        app()


if __name__ == "__main__":
    main()
