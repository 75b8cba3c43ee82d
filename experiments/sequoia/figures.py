"""Rewards in four domains, certified gaps, readings of the published improvement, and the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from experiments.engine.cells import Analysis, Drawing
from experiments.sequoia import figures_more
from experiments.sequoia.analyse import EVERYBODY
from experiments.sequoia.cells import FOUR, Domain
from experiments.sequoia.names import DOMAINS, LABELS, SIZES
from experiments.sequoia.scores import STEPS, Floats, Scores, Setting, student
from experiments.style import PAGE, look, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Found = Mapping[Setting, Scores]
SEEDS = "Points: mean over instances with Student's 95 % interval; dots: instances."


def draw(analysis: Analysis) -> Iterator[Drawing]:
    """Yield the figures of the experiment that have rows."""
    scores: Found = analysis.tables["scores"]
    if scores:
        yield rewards(scores)
        yield shares(scores)
        yield normalised(scores)
        yield gaps(scores)
    yield from figures_more.draw(analysis)


def rewards(scores: Found) -> Drawing:
    """Draw the mean reward of a step, with the mean upper bound."""

    def bound(axes: Axes, each: Scores, number: int) -> list[float]:
        at = each.instances()
        x = float(each.bound(at).mean() / STEPS)
        axes.axvline(x, color=look(number)["color"], lw=0.8, ls="-", zorder=0)
        return [x]

    caption = (
        f"Mean reward of a step in four domains. {SEEDS} Vertical lines: mean of the proven upper "
        "bound over the instances, which no policy can pass. Equal instances, equal random numbers "
        "for all. " + _who(scores)
    )
    return _everybody(
        scores,
        "1-rewards",
        lambda each, who: each.per_step(who),
        "reward of a step",
        caption,
        bound,
    )


def shares(scores: Found) -> Drawing:
    """Draw shares of the upper bound."""
    caption = f"Reward as a share of the smallest proven upper bound, instance by instance. {SEEDS}"
    return _everybody(
        scores, "2-shares", lambda each, who: each.share(who), "reward / upper bound", caption, _one
    )


def normalised(scores: Found) -> Drawing:
    """Draw shares with the reward of doing nothing taken off."""
    caption = (
        "The same with the reward of doing nothing taken off both the reward and the bound. "
        f"{SEEDS} Where the set asks for pulls, doing nothing is a yardstick and no policy."
    )
    return _everybody(
        scores, "3-normalised",
        lambda each, who: each.normalised(who) if each.instances(who, "null") else np.empty(0),
        "normalised share", caption, _one,
    )  # fmt: skip


def _one(axes: Axes, each: Scores, number: int) -> list[float]:
    axes.axvline(1.0, color="black", lw=0.6, ls="-", zorder=0)
    return [1.0]


def _who(scores: Found) -> str:
    parts = []
    for n_arms in sorted({s.n_arms for s in scores}):
        n = sorted({len(each.upper) for s, each in scores.items() if s.n_arms == n_arms})
        parts.append(f"{n_arms} arms: {' or '.join(map(str, n))} instances")
    return "; ".join(parts) + "."


def _everybody(
    scores: Found,
    name: str,
    values: Callable[[Scores, str], Floats],
    label: str,
    caption: str,
    mark: Callable[[Axes, Scores, int], list[float]],
) -> Drawing:
    """Draw a quantity for all policies, a panel per domain, a colour per size."""
    domains = [d for d in FOUR if any(s.domain == d for s in scores)]
    present = [w for w in EVERYBODY if any(w in scores[s].rewards for s in scores)]
    sizes = sorted({s.n_arms for s in scores})
    figure, axes = panels(1, len(domains), width=PAGE, height=0.24 * len(present) + 1.1)
    drawn: dict[str, Any] = {}
    for panel, domain in zip(axes, domains, strict=True):
        mine = [s for s in scores if s.domain == domain]
        drawn[domain] = {}
        for setting in mine:
            number = sizes.index(setting.n_arms)
            shift = 0.22 * (number - 0.5 * (len(sizes) - 1)) if len(sizes) > 1 else 0.0
            each = scores[setting]
            points = {w: values(each, w) for w in present if w in each.rewards}
            drawn[domain][setting.n_arms] = _points(panel, points, present, number, shift)
            drawn[domain][setting.n_arms]["marked"] = mark(panel, each, number)
        panel.set_title(DOMAINS[domain])
        panel.set_xlabel(label)
        panel.set_ylim(len(present) - 0.5, -0.5)
        panel.set_yticks(range(len(present)), [])
        panel.set_xlim(0.0, 1.08 * _largest(drawn[domain]))
    axes[0].set_yticks(range(len(present)), [LABELS[w] for w in present])
    _legend(figure, sizes)
    return Drawing(name, figure, {"caption": caption, "panels": drawn})


def _largest(drawn: Mapping[int, Mapping[str, Any]]) -> float:
    """Return the largest instance or mark of a panel; intervals may leave it."""
    values = [0.0]
    for size in drawn.values():
        values += size["marked"]
        for who, numbers in size.items():
            values += numbers["instances"] if who != "marked" else []
    return max(values)


def _points(
    axes: Axes, points: Mapping[str, Floats], order: Sequence[str], number: int, shift: float
) -> dict[str, Any]:
    """Draw one size of one panel."""
    shape, numbers = look(number), {}
    for who, values in points.items():
        if not len(values):
            continue
        y = order.index(who) + shift
        axes.plot(
            values, np.full(len(values), y), linestyle="none", marker=".", markersize=2.0,
            color=shape["color"], alpha=0.5,
        )  # fmt: skip
        mean = student(values)
        finite = np.isfinite(mean.low)
        half = mean.high - mean.estimate if finite else 0.0
        axes.errorbar(
            [mean.estimate], [y], xerr=[half], color=shape["color"], marker=shape["marker"],
            linestyle="none",
        )  # fmt: skip
        numbers[who] = mean.to_dict() | {"instances": values.tolist()}
    return numbers


def _legend(figure: Any, sizes: Sequence[int]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for i in range(len(sizes)):
        shape = look(i)
        handles.append(
            Line2D([], [], linestyle="none", color=shape["color"], marker=shape["marker"])
        )
    figure.legend(handles, [SIZES(n) for n in sizes], loc="outside lower center", ncols=len(sizes))


def gaps(scores: Found) -> Drawing:
    """Draw the table of certified gaps."""
    order = get_args(Domain)
    settings = sorted(scores, key=lambda s: (s.n_arms, order.index(s.domain)))
    present = [w for w in EVERYBODY if w != "null" and any(w in scores[s].rewards for s in scores)]
    table = np.full((len(present), len(settings)), np.nan)
    proven = np.full_like(table, np.nan)
    for k, setting in enumerate(settings):
        for i, who in enumerate(present):
            if scores[setting].instances(who):
                table[i, k] = scores[setting].gaps(who, "student").mean()
                proven[i, k] = scores[setting].gaps(who).mean()
    figure, (axes,) = panels(width=PAGE, height=0.24 * len(present) + 0.9)
    axes.imshow(np.nan_to_num(table, nan=0.0), cmap="Blues", vmin=0.0, vmax=1.6, aspect="auto")
    best = np.nan_to_num(table, nan=np.inf).argmin(axis=0)
    for i, k in np.ndindex(table.shape):
        if np.isfinite(table[i, k]):
            text = f"{100 * table[i, k]:.1f}" + f" ({100 * proven[i, k]:.1f})"
            weight = "bold" if best[k] == i else "normal"
            axes.text(k, i, text, ha="center", va="center", fontsize=7, fontweight=weight)
    axes.set_yticks(range(len(present)), [LABELS[w] for w in present])
    axes.set_xticks(
        range(len(settings)), [f"{DOMAINS[s.domain]}\n{s.n_arms} arms" for s in settings]
    )
    axes.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    for side in axes.spines.values():
        side.set_visible(False)
    caption = (
        "Certified gap of every policy in per cent: (upper bound − lower 95 % confidence limit of "
        "the simulated value) / upper bound, mean over instances; the smallest of each column is "
        "bold. Limits are Student's; in parentheses those by betting, whose confidence is proven "
        "for any rewards and costs about 3 / episodes. No policy can be better by more."
    )
    numbers = {
        f"{s.domain}/{s.n_arms}": {
            who: {"nominal": float(table[i, k]), "proven": float(proven[i, k])}
            for i, who in enumerate(present)
            if np.isfinite(table[i, k])
        }
        for k, s in enumerate(settings)
    }
    return Drawing("4-gaps", figure, {"caption": caption, "gaps": numbers})
