"""What the command line says in one line and ends with.

CommandError           the user must change something: exit status 2
└── NotReachableError  no fromzero answers on the admin port
"""

from __future__ import annotations


class CommandError(Exception):
    """One line, or one for each problem, that tells what to do."""


class NotReachableError(CommandError):
    """No fromzero answers on the admin port."""
