"""How policies, domains and variants are called in figures."""

from __future__ import annotations

DOMAINS = {
    "capacity": "capacity",
    "schedule": "schedule",
    "walks": "walks",
    "interventions": "interventions",
    "budget": "budget only",
}
LABELS = {
    "null": "nothing",
    "random": "random",
    "sampling": "best of 100 random",
    "myopic": "myopic, optimal",
    "iterative": "myopic, iterative",
    "whittle": "Whittle indices",
    "fluid": "fluid prices",
    "iterative_dqn": "DQN, iterative",
    "iterative_published": "DQN, published",
    "published": "SEQUOIA, published",
    "published_programs": "SEQUOIA, published, MIP",
    "sequoia": "SEQUOIA",
    "upper": "upper bound",
}
VARIANTS = {
    "sequoia": "default",
    "raw": "raw inputs",
    "no_base": "no fluid base",
    "raw_no_base": "raw inputs, no base",
    "hidden_8": "8 units",
    "hidden_16_32": "16, 32 units",
    "hidden_64_64": "64, 64 units",
    "published": "published constants",
}
SHORT = {"random": "random", "myopic": "myopic", "fluid": "fluid prices", "sequoia": "SEQUOIA"}


def SIZES(n_arms: int) -> str:
    """Return the legend entry of a size."""
    return f"{n_arms} arms"
