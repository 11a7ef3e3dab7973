"""Hypothesis profiles: quick at the desk, thorough where HYPOTHESIS_PROFILE=ci.

And the fixtures of a real Kubernetes, which starts when the first test asks for it.
"""

import os

from hypothesis import HealthCheck, settings

from tests.kube.fixtures import (  # noqa: F401 - fixtures of every test
    cluster,
    full_crds,
    session_cluster,
    space,
)

# No deadline: the machines that tests run on are shared and noisy.
settings.register_profile(
    "default",
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "ci",
    settings.get_profile("default"),
    max_examples=300,
    print_blob=True,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
