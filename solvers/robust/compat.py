"""Choices that published theory and published code make differently, each under a name.

The default is the theory. `Compat.public` is what the code released with the paper on
robust regularised pessimism does; every field can be switched alone with
`dataclasses.replace`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Literal, get_args, get_type_hints

from mdplib.errors import InvalidModelError

Penalty = Literal["sum", "l2", "ellipsoid"]
Vmin = Literal["states", "data", "fail_state"]
KLTarget = Literal["shrink_to_one", "paper"]


@dataclass(frozen=True)
class Compat:
    """Choices of an offline robust method.

    Parameters
    ----------
    penalty : {"sum", "l2", "ellipsoid"}
        ``sum_i phi_i sigma_i`` (theory), ``sqrt(sum_i (phi_i sigma_i)**2)`` (released code), or
        ``sqrt(phi^T Lambda^-1 phi)`` (PEVI). Both latter are at most the first.
    clip_low : bool
        Whether estimates of Q are clipped at 0 from below.
    vmin : {"states", "data", "fail_state"}
        Least value that an adversary in total variation can reach: the minimum over all states,
        over next states in the data (optimistic; released code), or 0.
    kl_target : {"shrink_to_one", "paper"}
        Regress ``exp(-V/lambda) - 1`` and add 1, so that no data means no value; or
        ``exp(-V/lambda)``, which is optimistic for coordinates without data.
    chi2_sign : {"max", "min"}
        The dual is a maximum; the released code of the simulated model minimises it.
    dual_range : {"values", "horizon"}
        Thresholds of a dual: from `vmin` to the largest value, or from 0 to H (released code).
    dual_clip : bool
        Whether regressed moments are clipped to [0, H] and [0, H**2].
    dual_floor : bool
        Whether the total-variation ball pays radius (a - vmin) rather than radius a.
    dual_search : {"global", "local"}
        Every candidate, or one Nelder-Mead run from H/2 (released code), which can stop at a
        local optimum.
    cap : {"rewards", "horizon"}
        Upper end of values at step h: steps that remain times the largest reward where rewards
        exceed 1, or H - h whatever the rewards (released code).
    strike : {"contract", "trajectories"}
        Strike that the American-put experiment believes in; see `believed_strike`.
    reward : {"known", "regressed"}
        Whether PEVI knows the reward or regresses it.
    va_bugs : bool
        Variance weighting of the released option code: variances regressed with ridge I in place
        of the Gram matrix, on the method's own values.

    Examples
    --------
    >>> Compat().penalty, Compat.public("simulated").chi2_sign, Compat.public("option").strike
    ('sum', 'min', 'trajectories')
    """

    penalty: Penalty = "sum"
    clip_low: bool = True
    vmin: Vmin = "states"
    kl_target: KLTarget = "shrink_to_one"
    chi2_sign: Literal["max", "min"] = "max"
    dual_range: Literal["values", "horizon"] = "values"
    dual_clip: bool = True
    dual_floor: bool = True
    dual_search: Literal["global", "local"] = "global"
    cap: Literal["rewards", "horizon"] = "rewards"
    strike: Literal["contract", "trajectories"] = "contract"
    reward: Literal["known", "regressed"] = "known"
    va_bugs: bool = False

    def __post_init__(self):
        for name, allowed in _allowed().items():
            value = getattr(self, name)
            if value not in allowed:
                listed = ", ".join(map(repr, allowed))
                raise InvalidModelError(f"{name} is {value!r}; one of {listed} expected")

    @classmethod
    def public(cls, experiment: Literal["simulated", "option"] = "simulated") -> Compat:
        """Return the choices of the released code for one of its two experiments."""
        shared = cls(
            penalty="l2",
            clip_low=False,
            vmin="data",
            kl_target="paper",
            dual_range="horizon",
            dual_clip=False,
            dual_floor=False,
            dual_search="local",
            cap="horizon",
            va_bugs=True,
        )
        if experiment == "simulated":
            return replace(shared, chi2_sign="min", reward="regressed")
        if experiment == "option":
            return replace(shared, strike="trajectories")
        raise InvalidModelError(f"experiment is {experiment!r}; 'simulated' or 'option' expected")

    def believed_strike(self, contract: float, n: int) -> float:
        """Return the strike to plan with, given the contract's and the number of trajectories."""
        return float(n) if self.strike == "trajectories" else contract


@cache
def _allowed() -> dict[str, tuple[object, ...]]:
    """Return the accepted values of each field."""
    hints = get_type_hints(Compat)
    return {one.name: get_args(hints[one.name]) or (False, True) for one in fields(Compat)}


def resolve(
    compat: Compat | Literal["public"] | None,
    penalty: Penalty | None = None,
    vmin: Vmin | None = None,
    kl_target: KLTarget | None = None,
) -> Compat:
    """Return the choices meant by a solver's options: named ones go before the preset.

    Examples
    --------
    >>> resolve("public", penalty="sum").penalty
    'sum'
    """
    if compat == "public":
        compat = Compat.public()
    elif compat is None:
        compat = Compat()
    elif not isinstance(compat, Compat):
        raise InvalidModelError(f"compat is {compat!r}; a Compat, 'public' or None expected")
    if penalty is not None:
        compat = replace(compat, penalty=penalty)
    if vmin is not None:
        compat = replace(compat, vmin=vmin)
    if kl_target is not None:
        compat = replace(compat, kl_target=kl_target)
    return compat
