"""Hypothesis profiles: reproducible by default; ``MDPLIB_HYPOTHESIS=thorough`` searches on."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile(
    "thorough",
    settings.get_profile("default"),
    derandomize=False,
    max_examples=3000,
    print_blob=True,
)
settings.load_profile(os.environ.get("MDPLIB_HYPOTHESIS", "default"))
