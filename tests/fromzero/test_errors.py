from __future__ import annotations

import pytest

from autoscaler.errors import BadInput, Problem
from fromzero.errors import CommandError, NotReachableError, ending

BAD = BadInput([Problem(field="port", value="x", rule="must be a number")] * 2)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        pytest.param(BAD, 2, "port = x, must be a number\n", id="bad input"),
        pytest.param(CommandError("a\nb"), 2, "a\nb\n", id="a command's error"),
        pytest.param(NotReachableError("no"), 2, "no\n", id="nobody answers"),
        pytest.param(
            CommandError("a\x1b[2J\u2028b"), 2, "a\\x1b[2J\\u2028b\n", id="what acts"
        ),
        pytest.param(KeyboardInterrupt(), 130, "", id="Ctrl-C"),
    ],
)
def test_an_error_ends_with_its_lines_and_its_status(error, status, said, capsys):
    with pytest.raises(SystemExit) as end, ending():
        raise error

    assert end.value.code == status
    assert capsys.readouterr().err == said


def test_a_bug_is_not_hidden():
    with pytest.raises(ZeroDivisionError), ending():
        raise ZeroDivisionError


def test_what_goes_well_ends_nothing():
    with ending():
        done = True

    assert done
