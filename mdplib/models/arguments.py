"""Checks of the numbers a model is built from."""

from __future__ import annotations

import math

import numpy as np

from mdplib.errors import InvalidModelError


def count(value: int, name: str, least: int = 1) -> int:
    """Return `value` if it is an integer of at least `least`.

    Examples
    --------
    >>> count(0, "S", 2)
    Traceback (most recent call last):
    ...
    mdplib.errors.InvalidModelError: S is 0; an integer of at least 2 expected
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InvalidModelError(f"{name} is {value!r}; an integer of at least {least} expected")
    return int(value)


def number(value: float, name: str, low: float = -math.inf, high: float = math.inf) -> float:
    """Return `value` if it is finite and lies in [low, high].

    Examples
    --------
    >>> number(0.75, "slip", 0.0, 0.5)
    Traceback (most recent call last):
    ...
    mdplib.errors.InvalidModelError: slip is 0.75; a number from 0.0 to 0.5 expected
    """
    if not math.isfinite(value) or not low <= value <= high:
        if (low, high) == (-math.inf, math.inf):
            raise InvalidModelError(f"{name} is {value!r}; a finite number expected")
        raise InvalidModelError(f"{name} is {value!r}; a number from {low} to {high} expected")
    return float(value)
