"""Intervals for simulated quantities: the public names of `intervals` and `bootstrap`.

Examples
--------
>>> clopper_pearson(0, 90, 0.99, side="upper").high < 0.05
True
"""

from mdplib.bootstrap import bootstrap, bootstrap_mean, paired_difference, slope_fit
from mdplib.intervals import Interval, clopper_pearson, runs_needed

__all__ = [
    "Interval",
    "bootstrap",
    "bootstrap_mean",
    "clopper_pearson",
    "paired_difference",
    "runs_needed",
    "slope_fit",
]
