"""Inner robust problems in exact or 60-digit arithmetic: sorts and bisection, no numpy.

Every float is taken at its exact value and a row p as the law p / sum(p). Nothing here shares a
formula's organisation with the library, which drops atoms and solves by Newton's method.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction

DIGITS = 60
Law = list[tuple[Fraction, Fraction]]  # (value, probability), rising values


def exact_law(p: Sequence[float], V: Sequence[float | Fraction]) -> Law:
    """Merge equal values; drop zero mass; normalise exactly."""
    total = sum((Fraction(x) for x in p), Fraction(0))
    mass: dict[Fraction, Fraction] = {}
    for x, v in zip(p, V, strict=True):
        if x > 0:
            mass[Fraction(v)] = mass.get(Fraction(v), Fraction(0)) + Fraction(x) / total
    return sorted(mass.items())


def decimal(x: Fraction) -> Decimal:
    return Decimal(x.numerator) / Decimal(x.denominator)


def infimum(
    divergence: str,
    mode: str,
    strength: float,
    p: Sequence[float],
    V: Sequence[float | Fraction],
    vmin: float | None = None,
) -> Decimal:
    """Return the infimum to about 50 digits."""
    law = exact_law(p, V)
    mean = sum((v * x for v, x in law), Fraction(0))
    off = strength == 0 if mode == "ball" else strength == float("inf")
    refuge = min(law[0][0], Fraction(min(V) if vmin is None else vmin))
    least = refuge if divergence == "tv" else law[0][0]
    with localcontext() as context:
        context.prec = DIGITS + 400
        if off:
            return decimal(mean)
        if strength == float("inf"):
            return decimal(least)
        if divergence == "tv":
            return decimal(_tv(law, mode, Fraction(strength), refuge))
        if divergence == "chi2" and mode == "penalty":
            return decimal(_chi2_penalty(law, Fraction(strength)))
        if divergence == "chi2":
            context.prec = 1000  # a cut may be that near to an atom
            return +_chi2_ball(law, Fraction(strength), mean)
        context.prec = DIGITS + (400 if mode == "penalty" else 60)
        shifted = [(decimal(v - law[0][0]), decimal(x)) for v, x in law]
        solve = _kl_penalty if mode == "penalty" else _kl_ball
        return decimal(law[0][0]) + solve(shifted, Decimal(strength))


def _tv(law: Law, mode: str, strength: Fraction, refuge: Fraction) -> Fraction:
    if mode == "penalty":
        return sum((x * min(v, refuge + strength) for v, x in law), Fraction(0))
    value, left = Fraction(0), strength
    for v, x in reversed(law):
        gone = min(x, left)
        left -= gone
        value += (x - gone) * v + gone * refuge
    return value


def _chi2_penalty(law: Law, price: Fraction) -> Fraction:
    """Sort sweep: the first k whose cut (2 price + S_k) / W_k is at most the next value."""
    mass = first = second = cut = Fraction(0)
    for k, (v, x) in enumerate(law):
        mass, first, second = mass + x, first + x * v, second + x * v * v
        cut = (2 * price + first) / mass
        if k + 1 == len(law) or cut <= law[k + 1][0]:
            break
    # x_k = (cut - v)+ / (2 price): pay sum p x v + price (sum p x^2 - 1)
    linear = (cut * first - second) / (2 * price)
    square = (cut * cut * mass - 2 * cut * first + second) / (4 * price * price)
    return linear + price * (square - 1)


def _chi2_ball(law: Law, radius: Fraction, mean: Fraction) -> Decimal:
    low = law[0][0]
    if (1 + radius) * law[0][1] >= 1:
        return decimal(low)
    mass = first = second = Fraction(0)
    for k, (v, x) in enumerate(law):
        mass, first, second = mass + x, first + x * (v - low), second + x * (v - low) ** 2
        room = (1 + radius) * mass - 1
        if room <= 0:
            continue
        middle = first / mass
        spread = second / mass - middle * middle
        cut = decimal(middle) + decimal(spread / room).sqrt()
        last = k + 1 == len(law)
        if cut >= decimal(v - low) and (last or cut <= decimal(law[k + 1][0] - low)):
            # E_q u for q proportional to (cut - u) on the first k atoms
            there = cut * decimal(first) - decimal(second)
            return decimal(low) + there / (cut * decimal(mass) - decimal(first))
    raise AssertionError("no cut found")


def _kl_penalty(law: list[tuple[Decimal, Decimal]], price: Decimal) -> Decimal:
    return -price * sum(x * (-u / price).exp() for u, x in law).ln()  # type: ignore[union-attr]


def _kl_ball(law: list[tuple[Decimal, Decimal]], radius: Decimal) -> Decimal:
    """Bisect the divergence of the tilted law."""
    if radius >= -law[0][1].ln():
        return Decimal(0)

    def tilted(t: Decimal) -> tuple[Decimal, Decimal]:
        weight = [x * (-t * u).exp() for u, x in law]
        z = sum(weight, Decimal(0))
        inside = sum((w * u for w, (u, _) in zip(weight, law, strict=True)), Decimal(0)) / z
        return inside, -t * inside - z.ln()

    low = high = 1 / law[-1][0]
    while tilted(high)[1] < radius:
        high *= 4
    while tilted(low)[1] > radius:
        low /= 4
    for _ in range(4 * DIGITS):
        middle = (low + high) / 2
        low, high = (middle, high) if tilted(middle)[1] < radius else (low, middle)
        if high - low < Decimal(10) ** (-22) * high:
            break
    return tilted(low)[0]
