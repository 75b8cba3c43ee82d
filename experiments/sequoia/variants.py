"""How a learner is set up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from experiments.sequoia.cells import Variant
from solvers.restless import Settings

LARGE = 20  # more arms than these: programs find the actions, and training is cut down
CUT_DOWN: dict[str, Any] = {"validate_every": 5, "validation": 5, "trial": 0}
LISTED = 300_000  # up to LARGE arms all actions are compared
MYOPIC_START: dict[str, Any] = {"base": "none", "myopic_epochs": 10}
CHANGES: dict[Variant, dict[str, Any]] = {
    "default": {},
    "raw": {"inputs": "raw"},
    "no_base": MYOPIC_START,
    "raw_no_base": MYOPIC_START | {"inputs": "raw"},
    "hidden_8": {"hidden": (8,)},
    "hidden_16_32": {"hidden": (16, 32)},
    "hidden_64_64": {"hidden": (64, 64)},
}


def settings(variant: Variant, n_arms: int, training: int) -> Settings:
    """Return the settings of a variant.

    Parameters
    ----------
    variant : str
        "published" has the constants of the published code, but compares listed actions one by
        one, which finds the same maxima as its programs; "published_programs" has those too.
        The others change one thing of the default.
    n_arms : int
        Beyond `LARGE`, where decisions are programs, validations are shorter, and the best network
        on them is taken as it is. Up to it all actions are compared, at most `LISTED`.
    training : int
        Training episodes.

    Returns
    -------
    Settings

    Examples
    --------
    >>> settings("published", 20, 100).soft, settings("hidden_8", 20, 40).hidden
    (1e-06, (8,))
    """
    if variant == "published_programs":
        return replace(Settings.faithful(), episodes=training)
    if variant == "published":
        return replace(Settings.faithful(), episodes=training, listed=LISTED)
    cut = CUT_DOWN if n_arms > LARGE else {"listed": LISTED}
    return replace(Settings(), episodes=training, **(cut | CHANGES[variant]))
