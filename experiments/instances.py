"""The models that several experiments share."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from mdplib import io, models
from mdplib.tabular import TabularMDP

Name = Literal["frozen_lake", "taxi", "garnet"]
NAMES: tuple[Name, ...] = get_args(Name)
TITLES: dict[str, str] = {
    "frozen_lake": "FrozenLake 8×8",
    "taxi": "Taxi, rainy",
    "garnet": "Garnet (100, 4, 8)",
}
GARNET = (100, 4, 8)  # states, actions, successors


def instance(name: Name, gamma: float, rng: np.random.Generator) -> TabularMDP:
    """Return a model.

    Parameters
    ----------
    name : {"frozen_lake", "taxi", "garnet"}
        Two fixed models of Gymnasium (slippery lake; rainy taxi, the dry one being
        deterministic), and a random Garnet with 100 states, 4 actions, 8 successors per pair.
    gamma : float
        Discount factor.
    rng : numpy.random.Generator
        Draws the Garnet; the other models do not use it.

    Returns
    -------
    TabularMDP

    Raises
    ------
    MissingExtraError
        If a Gymnasium model is wanted and gymnasium is not installed.
    """
    if name == "garnet":
        return models.garnet(*GARNET, rng, gamma)
    if name == "taxi":
        return io.from_gymnasium("Taxi-v4", gamma, options={"is_rainy": True})
    return io.from_gymnasium("FrozenLake8x8-v1", gamma)
