"""Hypothesis profiles: quick at the desk, thorough where HYPOTHESIS_PROFILE=ci."""

import os

from hypothesis import HealthCheck, settings

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
