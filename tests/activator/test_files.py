from __future__ import annotations

import resource
import subprocess
import sys

from activator.files import limit


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
