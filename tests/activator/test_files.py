from __future__ import annotations

import resource
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from activator.files import clients, limit, spare


def test_the_limit_is_the_systems():
    assert limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_it_is_raised_as_far_as_may_be_and_no_further():
    code = (
        "import resource; n = resource.RLIMIT_NOFILE; resource.setrlimit(n, (64, 128));"
        "from activator.files import raise_limit;"
        "print(raise_limit(), raise_limit(), resource.getrlimit(n))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout == "128 128 (128, 128)\n"


@given(st.integers(200, 2_000_000), st.floats(0.0, 0.5))
def test_clients_with_their_replicas_and_entrances_never_need_more_than_there_are(
    files, share
):
    listening = int(files * share)

    assert 2 * clients(files, listening) + listening + spare(files) <= files
