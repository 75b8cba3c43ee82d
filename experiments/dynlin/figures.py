"""Regret against rounds, against what is claimed of it, and against what the learner is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.dynlin.analyse import Runs, Setting, shares
from experiments.dynlin.cells import (
    EVERYONE,
    OURS,
    PUBLIC,
    RHOS,
    SEEDS,
    SIGMA,
    SIGMAS,
    SIGNS_SIGMA,
    TRUE_RHO,
    Name,
)
from experiments.dynlin.theory import lower_lines, upper_lines
from experiments.engine.cells import Analysis, Drawing
from experiments.style import PAGE, Curve, band, bars, line, panels
from mdplib.statistics import Interval, bootstrap_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABELS: dict[str, str] = {
    "dynlin_log": "DynLin-UCB, λ = log T",
    "dynlin_one": "DynLin-UCB, λ = 1",
    "dynlin_certified": "DynLin-UCB, certified",
    "rs_dynlin": "RS-DynLin",
    "lin_ucb_log": "LinUCB, λ = log T",
    "lin_ucb": "LinUCB, λ = 1",
    "d_lin_ucb_log": "D-LinUCB, λ = log T",
    "d_lin_ucb": "D-LinUCB, λ = 1",
    "ar2": "AR2",
    "exp3": "Exp3",
    "batch_exp3": "Batch-Exp3",
    "ucb1": "UCB1",
    "expert": "expert",
}
SHORT = {"dynlin_log": "DynLin-UCB", "dynlin_certified": "DynLin-UCB, cert.", "rs_dynlin": "RS"}
OPTIMISTS: tuple[Name, ...] = EVERYONE[:6]
RIVALS: tuple[Name, ...] = ("dynlin_log", *EVERYONE[6:])
Found = dict[Setting, list[Interval]]


def draw(analysis: Analysis) -> Iterator[Drawing]:
    """Yield the figures of the experiment that have rows."""
    runs: dict[Setting, Runs] = analysis.tables["runs"]
    makers: Sequence[Callable[[Analysis], Drawing | None]] = (
        lambda a: regret(a, "synthetic"),
        noise,
        radius,
        lambda a: regret(a, "advertising"),
        against_bounds,
        refit,
        public,
        coverage,
    )
    for make in makers if runs else ():
        drawing = make(analysis)
        if drawing is not None:
            yield drawing


def _longest(runs: Iterable[Setting], system: str = "", protocol: str = "") -> int:
    """Return the most rounds, of a system and a protocol if they have any."""
    mine = [k.rounds for k in runs if (k.system, k.protocol) == (system, protocol)]
    return max(mine or [key.rounds for key in runs])


def _setting(
    analysis: Analysis,
    system: str,
    algorithm: Name,
    *,
    sigma: float = SIGMA,
    rho: float = -1.0,
    protocol: str = "correct",
) -> Setting:
    longest = _longest(analysis.tables["runs"], system, protocol)
    return Setting(system, protocol, sigma, algorithm, rho, longest)


def _draw_curves(
    axes: Axes, analysis: Analysis, settings: Sequence[tuple[Setting, str]], start: float = 0.0
) -> list[Curve]:
    """Draw the mean curves of the settings that have rows; number them by their place."""
    drawn = []
    for number, (key, label) in enumerate(settings):
        if key not in analysis.tables["runs"]:
            continue
        runs = analysis.tables["runs"][key]
        shown = [i for i, t in enumerate(runs.t) if t >= start]
        means = [analysis.tables["curves"][key][i] for i in shown]
        drawn.append(band(axes, [runs.t[i] for i in shown], means, label=label, number=number))
    return drawn


def _logarithmic(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")


def _floor(axes: Axes, curves: Iterable[Curve], t: float) -> None:
    """Cut the logarithmic axis below the smallest positive mean from t on."""
    seen = [
        y for c in curves for x, y in zip(c["x"], c["estimate"], strict=True) if x >= t and y > 0
    ]
    if seen:
        axes.set_ylim(bottom=0.5 * min(seen))


def _seeds(analysis: Analysis, key: Setting) -> int:
    return len(analysis.tables["runs"][key].regret)


def regret(analysis: Analysis, system: str) -> Drawing | None:
    """Draw the regret of everybody on a system: the paper's axes above, logarithmic below."""
    reference = _setting(analysis, system, "dynlin_log")
    if reference not in analysis.tables["runs"]:
        return None
    figure, axes = panels(2, 2, width=PAGE, height=2.1)
    groups: tuple[tuple[Name, ...], ...] = (OPTIMISTS, RIVALS)
    if system == "advertising":
        groups = ((*OPTIMISTS, "expert"), RIVALS)
    finals = [
        analysis.tables["curves"][key][-1].high
        for key in analysis.tables["runs"]
        if (key.system, key.protocol, key.sigma, key.rho) == (system, "correct", SIGMA, -1.0)
        and key.rounds == reference.rounds
    ]
    limit = min(3.0 * analysis.tables["curves"][reference][-1].estimate, 1.05 * max(finals))
    numbers: dict[str, list[Curve]] = {}
    for column, group in enumerate(groups):
        pairs = [(_setting(analysis, system, name), LABELS[name]) for name in group]
        above, below = axes[column], axes[2 + column]
        _draw_curves(above, analysis, pairs)
        above.set_ylim(0.0, limit)
        drawn = _draw_curves(below, analysis, pairs, start=10.0)
        _logarithmic(below)
        _floor(below, drawn, reference.rounds / 1000.0)
        below.set_xlim(left=reference.rounds / 1000.0)
        below.set_xlabel("rounds, t")
        below.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=2)
        numbers["optimists" if column == 0 else "rivals"] = drawn
    axes[0].set_ylabel("regret")
    axes[2].set_ylabel("regret")
    axes[0].set_title("optimism with dynamics, and without")
    axes[1].set_title("rivals")
    name = "the synthetic system" if system == "synthetic" else "the advertising system"
    caption = (
        f"Cumulative regret, the sum of the gaps in steady state, on {name} at σ = {SIGMA:g}, T = "
        f"{reference.rounds:g}; mean of {_seeds(analysis, reference)} seeds with 95 % bootstrap "
        "interval, all algorithms with the same noise. Above on the paper's axes, cut at three "
        "times the regret of DynLin-UCB (λ = log T); below in logarithmic scale."
    )
    number = 1 if system == "synthetic" else 4
    return Drawing(f"{number}-{system}", figure, {"caption": caption, "panels": numbers})


def noise(analysis: Analysis) -> Drawing | None:
    """Draw the regret of a few algorithms for three levels of noise."""
    group: tuple[Name, ...] = (*OURS, "lin_ucb_log")
    figure, axes = panels(1, len(SIGMAS), width=PAGE, height=2.5)
    numbers = {}
    other = [key.rounds for key in analysis.tables["runs"] if key.sigma == SIGMAS[0]]
    longest = max(other, default=0)
    for panel, sigma in zip(axes, SIGMAS, strict=True):
        keys = [Setting("synthetic", "correct", sigma, name, -1.0, longest) for name in group]
        pairs = [(key, LABELS[key.algorithm]) for key in keys]
        drawn = _draw_curves(panel, analysis, pairs, start=10.0)
        _logarithmic(panel)
        _floor(panel, drawn, longest / 1000.0)
        panel.set_xlim(left=max(longest / 1000.0, 1.0))
        panel.set_title(f"σ = {sigma:g}")
        panel.set_xlabel("rounds, t")
        numbers[f"sigma={sigma:g}"] = drawn
    if not any(numbers.values()):
        return None
    low, high = zip(*(panel.get_ylim() for panel in axes), strict=True)
    for panel in axes:
        panel.set_ylim(min(low), max(high))
    axes[0].set_ylabel("regret")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    caption = (
        "Cumulative regret on the synthetic system for three standard deviations of the noise. "
        "Mean over seeds with 95 % bootstrap interval. With little noise the regret of the "
        "first two is that of their bias terms."
    )
    return Drawing("2-noise", figure, {"caption": caption, "panels": numbers})


def _told(rho: float) -> float:
    return -1.0 if rho == TRUE_RHO else rho


def radius(analysis: Analysis) -> Drawing | None:
    """Draw the regret when a learner is told a wrong spectral radius."""
    runs = analysis.tables["runs"]
    figure, (left, right) = panels(1, 2, width=PAGE, height=2.7)
    pairs = [
        (_setting(analysis, "synthetic", "dynlin_log", rho=_told(rho)), f"ρ̄ = {rho:g}")
        for rho in RHOS
    ]
    drawn = _draw_curves(left, analysis, pairs, start=10.0)
    if not drawn:
        return None
    longest = _longest(runs)
    _logarithmic(left)
    _floor(left, drawn, longest / 1000.0)
    left.set_xlim(left=longest / 1000.0)
    left.set_xlabel("rounds, t")
    left.set_ylabel("regret")
    left.set_title(LABELS["dynlin_log"])
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=4)
    points = []
    for number, name in enumerate(OURS):
        found = [
            (rho, analysis.tables["curves"][key][-1])
            for rho in RHOS
            if (key := _setting(analysis, "synthetic", name, rho=_told(rho))) in runs
        ]
        x = [rho + 0.006 * (number - 1) for rho, _ in found]
        points.append(bars(right, x, [y for _, y in found], label=LABELS[name], number=number))
    right.axvline(TRUE_RHO, color="black", lw=0.6, ls=":", zorder=0)
    right.set_yscale("log")
    right.set_xlabel("spectral radius told, ρ̄ (dotted: the true one)")
    right.set_ylabel("regret after all rounds")
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2)
    caption = (
        f"Sensitivity to a misspecified spectral radius: the true one is {TRUE_RHO:g}. Left: "
        f"cumulative regret. Right: regret after {longest:g} rounds. Mean over "
        f"{_seeds(analysis, pairs[3][0])} seeds with 95 % bootstrap interval. ρ̄ = 0 keeps every "
        "reward as if the state had no memory."
    )
    return Drawing("3-radius", figure, {"caption": caption, "curves": drawn, "points": points})


def against_bounds(analysis: Analysis) -> Drawing | None:
    """Draw regret between what can be proven from above and from below."""
    runs = analysis.tables["runs"]
    longest = _longest(runs)
    figure, (left, right) = panels(1, 2, width=PAGE, height=3.1)
    pairs = [(_setting(analysis, "synthetic", name), LABELS[name]) for name in OURS]
    drawn = _draw_curves(left, analysis, pairs, start=30.0)
    if not drawn:
        return None
    for number, (key, _) in enumerate(pairs):
        found = runs.get(key)
        if found is not None and found.certificate is not None:
            shown = [i for i, t in enumerate(found.t) if t >= 30]
            y = found.certificate.mean(axis=0)[shown].tolist()
            label = f"certificate of {SHORT[key.algorithm]}"
            drawn.append(_thin(left, [found.t[i] for i in shown], y, label, number))
    t = np.unique(np.round(np.geomspace(30, longest, 25))).astype(int).tolist()
    for (label, y), number in zip(upper_lines(t).items(), (3, 4, 5, 6), strict=True):
        drawn.append(line(left, t, y, label=label, number=number))
    _logarithmic(left)
    _floor(left, drawn[: len(OURS)], longest / 1000.0)
    left.set_xlim(left=longest / 1000.0)
    left.set_title("synthetic system")
    left.set_xlabel("rounds, t")
    left.set_ylabel("regret")
    left.legend(loc="upper center", bbox_to_anchor=(0.45, -0.24), fontsize=6, ncols=2)
    points = _signs(right, runs)
    right.set_title(f"family of the lower bound, σ = {SIGNS_SIGMA:g}")
    right.set_xlabel("rounds, T")
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.24), fontsize=6)
    caption = (
        "Left: mean regret (95 % bootstrap band), the bound that each learner can state at run "
        "time (thin, same colour), and the bounds that need no run; above T·D they say nothing. "
        "A certificate holds on the event that the confidence sets do, of probability at least "
        "1 − 2/T. Right: two arms' signs are unknown, and set so small that T rounds hardly "
        "reveal them; mean regret over signs and seeds after T rounds against two lower bounds "
        "that every learner obeys."
    )
    return Drawing("5-bounds", figure, {"caption": caption, "curves": drawn, "points": points})


def _thin(axes: Axes, x: list[int], y: list[float], label: str, number: int) -> Curve:
    from experiments.style import look

    axes.plot(x, y, label=label, color=look(number)["color"], lw=0.7, ls="-", marker="")
    return {"label": label, "x": x, "y": y, "interval": "none: mean over the runs"}


def _signs(axes: Axes, runs: dict[Setting, Runs]) -> list[Curve]:
    points, horizons = [], sorted({key.rounds for key in runs if key.system == "signs"})
    if not horizons:
        return points
    for number, name in enumerate(OURS):
        found = {
            key.rounds: bootstrap_mean(r.final, np.random.default_rng(key.rounds))
            for key, r in sorted(runs.items())
            if key.system == "signs" and key.algorithm == name
        }
        points.append(
            bars(
                axes,
                [T * 1.12 ** (number - 1) for T in found],
                list(found.values()),
                label=LABELS[name],
                number=number,
            )
        )
    grid = np.geomspace(min(horizons) / 2, max(horizons) * 2, 20).round().astype(int).tolist()
    for (label, y), number in zip(lower_lines(grid).items(), (6, 3), strict=True):
        points.append(line(axes, grid, y, label=label, number=number))
    _logarithmic(axes)
    return points


def refit(analysis: Analysis) -> Drawing | None:
    """Draw the advertising system beside what was identified from its simulated data."""
    group: tuple[Name, ...] = (*OURS, "lin_ucb_log", "expert")
    figure, axes = panels(1, 2, width=PAGE, height=2.6)
    numbers, longest = {}, _longest(analysis.tables["runs"], "refit", "correct")
    for panel, system in zip(axes, ("advertising", "refit"), strict=True):
        keys = [_setting(analysis, system, name)._replace(rounds=longest) for name in group]
        pairs = [(key, LABELS[key.algorithm]) for key in keys]
        drawn = _draw_curves(panel, analysis, pairs, start=10.0)
        _logarithmic(panel)
        _floor(panel, drawn, longest / 1000.0)
        panel.set_xlim(left=longest / 1000.0)
        panel.set_xlabel("rounds, t")
        panel.set_title("as published" if system == "advertising" else "refitted by Ho and Kalman")
        numbers[system] = drawn
    rows = [
        row
        for key, r in analysis.tables["runs"].items()
        if key.system == "refit" and key.algorithm == "rs_dynlin"
        for row in r.rows
    ]
    if not rows:
        return None
    axes[0].set_ylabel("regret")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    worst = max(row["h_error"] for row in rows)
    radii = max(row["radius_error"] for row in rows)
    caption = (
        "Cumulative regret on the advertising system, and on the systems identified from "
        f"simulated rounds of it, one per batch of {SEEDS} seeds. Mean with 95 % bootstrap "
        f"interval. Largest error of the identified h: {worst:.2g}, of the spectral radius: "
        f"{radii:.2g}."
    )
    return Drawing("6-refit", figure, {"caption": caption, "panels": numbers})


def public(analysis: Analysis) -> Drawing | None:
    """Draw the regret under the protocol of the published code beside that of this library."""
    runs, curves = analysis.tables["runs"], analysis.tables["curves"]
    figure, (axes,) = panels(width=PAGE, height=2.6)
    points = []
    longest = _longest(runs, "synthetic", "public")
    for number, protocol in enumerate(("correct", "public")):
        found = [
            (place, curves[key][-1])
            for place, name in enumerate(PUBLIC)
            if (key := Setting("synthetic", protocol, SIGMA, name, -1.0, longest)) in runs
        ]
        x = [place + 0.16 * (2 * number - 1) for place, _ in found]
        label = "this library" if number == 0 else "protocol of the published code"
        points.append(bars(axes, x, [y for _, y in found], label=label, number=number))
    if not points[1]["x"]:
        return None
    axes.set_yscale("log")
    axes.set_xticks(range(len(PUBLIC)), [LABELS[name].replace(", ", "\n") for name in PUBLIC])
    axes.set_ylabel("regret after all rounds")
    figure.legend(loc="outside lower center", ncols=2)
    caption = (
        f"Regret after {longest:g} rounds on the synthetic system, mean over seeds with "
        "95 % bootstrap interval: the algorithms as described, and as the published code runs "
        "them (reward noise of three outputs, a schedule shifted by a round, D-LinUCB that does "
        "not discount, Batch-Exp3 that credits most rewards to the arm before)."
    )
    return Drawing("7-public", figure, {"caption": caption, "points": points})


def coverage(analysis: Analysis) -> Drawing | None:
    """Draw how often the confidence sets were left."""
    found = shares(analysis.tables["runs"])
    longest = _longest(analysis.tables["runs"])
    names: tuple[Name, ...] = ("dynlin_log", "dynlin_one", "dynlin_certified", "rs_dynlin",
                               "lin_ucb_log", "lin_ucb")  # fmt: skip
    figure, (axes,) = panels(width=PAGE, height=2.2)
    points = []
    for number, system in enumerate(("synthetic", "advertising")):
        shown = [
            (place, found[key])
            for place, name in enumerate(names)
            if (key := Setting(system, "correct", SIGMA, name, -1.0, longest)) in found
        ]
        x = [place + 0.16 * (2 * number - 1) for place, _ in shown]
        points.append(bars(axes, x, [y for _, y in shown], label=system, number=number))
    if not any(p["x"] for p in points):
        return None
    axes.set_ylim(-0.03, 1.03)
    axes.set_xticks(range(len(names)), [LABELS[name].replace(", ", "\n") for name in names])
    axes.set_ylabel("share of runs")
    figure.legend(loc="outside lower center", ncols=2)
    caption = (
        f"How often h left the learner's confidence set within {longest:g} rounds, with exact "
        "95 % interval (Clopper and Pearson). The sets of LinUCB ignore what is still in the "
        "state."
    )
    return Drawing("8-coverage", figure, {"caption": caption, "points": points})
