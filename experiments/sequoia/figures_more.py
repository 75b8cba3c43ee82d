"""Differences, readings of the published improvement, times, ablations, exact shares, curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.engine.cells import Analysis, Drawing
from experiments.sequoia.analyse import EVERYBODY
from experiments.sequoia.cells import FOUR, Domain
from experiments.sequoia.names import DOMAINS, LABELS, VARIANTS
from experiments.sequoia.readings import Average, Reading, Rival
from experiments.sequoia.scores import SEQUOIA, Scores, Setting, student
from experiments.style import PAGE, look, panels
from mdplib.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Found = Mapping[Setting, Scores]
PUBLISHED = {"published version": 0.248, "first preprint": 0.264, "submission": 0.283}
TIMED = ("random", "sampling", "myopic", "iterative", "whittle", "fluid", SEQUOIA)


def draw(analysis: Analysis) -> Iterator[Drawing]:
    """Yield the figures that have rows."""
    tables = analysis.tables
    makers: Sequence[Callable[[Mapping[str, Any]], Drawing | None]] = (
        differences,
        improvements,
        curves,
        ablations,
        exact,
        times,
    )
    for make in makers:
        drawing = make(tables)
        if drawing is not None:
            yield drawing


def differences(tables: Mapping[str, Any]) -> Drawing | None:
    """Draw the paired differences of SEQUOIA from its rivals, in per cent of the bound."""
    scores: Found = tables["scores"]
    settings = [s for s in scores if scores[s].instances(SEQUOIA, "myopic")]
    if not settings:
        return None
    rivals = [
        r for r in ("myopic", "fluid") if any(scores[s].instances(SEQUOIA, r) for s in settings)
    ]
    figure, axes = panels(1, len(rivals), width=PAGE, height=0.2 * len(settings) + 1.0)
    drawn: dict[str, Any] = {}
    for panel, rival in zip(axes, rivals, strict=True):
        drawn[rival] = {}
        for y, setting in enumerate(settings):
            each = scores[setting]
            at = each.instances(SEQUOIA, rival)
            if not at:
                continue
            each_of = (each.mean(SEQUOIA, at) - each.mean(rival, at)) / each.bound(at)
            name = f"{setting.domain}/{setting.n_arms}"
            drawn[rival][name] = _row(panel, y, 100 * each_of, 0)
        panel.axvline(0.0, color="black", lw=0.6, zorder=0)
        panel.set_ylim(len(settings) - 0.5, -0.5)
        panel.set_yticks(range(len(settings)), [])
        panel.set_xlabel("difference, per cent of the bound")
        panel.set_title(f"SEQUOIA minus {LABELS[rival]}")
    names = [f"{DOMAINS[s.domain]}, {s.n_arms}" for s in settings]
    axes[0].set_yticks(range(len(settings)), names)
    caption = (
        "Paired differences of SEQUOIA from the optimal myopic policy and from the fluid-priced "
        "policy it begins as; the same instances, the same random numbers. Mean over instances "
        "with Student's 95 % interval (none for one instance); dots: instances."
    )
    return Drawing("5-differences", figure, {"caption": caption, "panels": drawn})


def _row(axes: Axes, y: float, values: np.ndarray, number: int) -> dict[str, Any]:
    """Draw the values of instances and their mean in one row."""
    shape, mean = look(number), student(values)
    axes.plot(
        values, np.full(len(values), y), linestyle="none", marker=".", markersize=2.0,
        color=shape["color"], alpha=0.5,
    )  # fmt: skip
    half = mean.high - mean.estimate if np.isfinite(mean.high) else 0.0
    axes.errorbar(
        [mean.estimate], [y], xerr=[half], color=shape["color"], marker=shape["marker"],
        linestyle="none",
    )  # fmt: skip
    return mean.to_dict() | {"instances": values.tolist()}


def improvements(tables: Mapping[str, Any]) -> Drawing | None:
    """Draw the improvement under every reading beside the published numbers."""
    found: Mapping[str, Mapping[Reading, Interval]] = {
        learner: r for learner, r in tables["improvements"].items() if r
    }
    if not found:
        return None
    from typing import get_args

    rows = [(rival, average) for rival in get_args(Rival) for average in get_args(Average)]
    figure, axes = panels(1, 2, width=PAGE, height=0.17 * len(rows) + 1.3)
    drawn: dict[str, Any] = {}
    for panel, rewards in zip(axes, ("raw", "null off"), strict=True):
        for number, (learner, readings) in enumerate(found.items()):
            shape = look(number)
            for y, (rival, average) in enumerate(rows):
                i = readings[Reading(rewards, rival, average)]  # type: ignore[arg-type]
                at = y + 0.2 * (number - 0.5 * (len(found) - 1))
                panel.errorbar(
                    [100 * i.estimate], [at],
                    xerr=[[100 * (i.estimate - i.low)], [100 * (i.high - i.estimate)]],
                    color=shape["color"], marker=shape["marker"], linestyle="none",
                    label=LABELS[learner] if y == 0 else None,
                )  # fmt: skip
                drawn[f"{learner}/{Reading(rewards, rival, average).name}"] = i.to_dict()  # type: ignore[arg-type]
        for claimed in PUBLISHED.values():
            panel.axvline(100 * claimed, color="black", lw=0.6, ls=":", zorder=0)
        panel.axvline(0.0, color="black", lw=0.6, zorder=0)
        panel.set_ylim(len(rows) - 0.5, -0.5)
        panel.set_yticks(range(len(rows)), [])
        panel.set_xlabel("improvement, per cent")
        panel.set_title("raw rewards" if rewards == "raw" else "doing nothing taken off")
    axes[0].set_yticks(range(len(rows)), [f"{rival}; {average}" for rival, average in rows])
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    caption = (
        "Improvement over the best baseline under every reading of it: rival; average. "
        '"Fluid" counts the fluid-priced policy and Whittle indices among the baselines, of which '
        "the paper has neither. Dotted: the published 24.8 %, 26.4 % and 28.3 % of three versions. "
        "95 % bootstrap intervals, instances resampled within domains and sizes. All sizes and "
        "domains of this scale on which the learner was trained."
    )
    return Drawing("6-improvements", figure, {"caption": caption, "readings": drawn})


def curves(tables: Mapping[str, Any]) -> Drawing | None:
    """Draw validation rewards against training episodes."""
    scores: Found = tables["scores"]
    domains = [
        d for d in FOUR if any(s.domain == d and scores[s].runs.get(SEQUOIA) for s in scores)
    ]
    if not domains:
        return None
    sizes = sorted({s.n_arms for s in scores})
    figure, axes = panels(1, len(domains), width=PAGE, height=2.2)
    drawn: dict[str, Any] = {}
    for panel, domain in zip(axes, domains, strict=True):
        for setting in [s for s in scores if s.domain == domain]:
            each, number = scores[setting], sizes.index(setting.n_arms)
            for i, run in sorted(each.runs.get(SEQUOIA, {}).items()):
                if i not in each.upper or not run["validation"]:
                    continue
                y = 100 * (np.array(run["validation"]) - run["validation"][0]) / each.upper[i]
                panel.plot(
                    run["trained_for"], y, color=look(number)["color"], lw=0.8,
                    ls=look(number)["linestyle"],
                )  # fmt: skip
                drawn[f"{domain}/{setting.n_arms}/{i}"] = {
                    "x": run["trained_for"], "y": y.tolist(),
                }  # fmt: skip
        panel.axhline(0.0, color="black", lw=0.6, zorder=0)
        panel.set_title(DOMAINS[domain])
        panel.set_xlabel("training episodes")
    axes[0].set_ylabel("gain, per cent of the bound")
    caption = (
        "Validation reward of SEQUOIA during training minus that before, which is the fluid-priced "
        "policy's, in per cent of the bound; a line per instance, solid for the smallest size. No "
        "intervals: the episodes of an instance are the same at every validation."
    )
    return Drawing("7-curves", figure, {"caption": caption, "curves": drawn})


def ablations(tables: Mapping[str, Any]) -> Drawing | None:
    """Draw what other features and sizes of the network do."""
    found = {s: parts for s, parts in tables["ablations"].items() if parts}
    if not found:
        return None
    order = [v for v in VARIANTS if any(v in parts for parts in found.values())]
    figure, axes = panels(1, len(found), width=PAGE, height=0.22 * len(order) + 1.0)
    drawn: dict[str, Any] = {}
    for panel, (setting, parts) in zip(axes, found.items(), strict=True):
        name = f"{setting.domain}/{setting.n_arms}"
        drawn[name] = {}
        for y, variant in enumerate(order):
            if variant not in parts:
                continue
            mean, minus = parts[variant]
            half = mean.high - mean.estimate if np.isfinite(mean.high) else 0.0
            panel.errorbar([mean.estimate], [y], xerr=[half], color=look(0)["color"], marker="o")
            drawn[name][variant] = {"share": mean.to_dict(), "minus": minus.to_dict()}
        panel.set_ylim(len(order) - 0.5, -0.5)
        panel.set_yticks(range(len(order)), [])
        panel.set_title(f"{DOMAINS[setting.domain]}, {setting.n_arms} arms")
        panel.set_xlabel("reward / upper bound")
    axes[0].set_yticks(range(len(order)), [VARIANTS[v] for v in order])
    caption = (
        "SEQUOIA with other inputs, without the fluid base (fitted to the one-step reward "
        "instead), and with other hidden layers. Mean share of the bound over the instances that "
        "have been tried, Student's 95 % interval; paired differences from the default are among "
        "the numbers."
    )
    return Drawing("8-ablations", figure, {"caption": caption, "panels": drawn})


def exact(tables: Mapping[str, Any]) -> Drawing | None:
    """Draw shares of the exact optimum on small instances."""
    found: Mapping[Domain, Mapping[str, list[float]]] = tables["small"]
    if not found:
        return None
    order = [
        w for w in (*EVERYBODY, "upper") if w != "null" and any(w in x for x in found.values())
    ]
    figure, axes = panels(1, len(found), width=PAGE, height=0.22 * len(order) + 1.0)
    drawn: dict[str, Any] = {}
    for panel, (domain, shares) in zip(axes, found.items(), strict=True):
        drawn[domain] = {
            who: _row(panel, order.index(who), np.array(x), 0)
            for who, x in shares.items()
            if who in order
        }
        panel.axvline(1.0, color="black", lw=0.6, zorder=0)
        panel.set_ylim(len(order) - 0.5, -0.5)
        panel.set_yticks(range(len(order)), [])
        panel.set_title(DOMAINS[domain])
        panel.set_xlim(0.0, 1.08 * max(max(x) for x in shares.values()))
        panel.set_xlabel("share of the optimum")
    axes[0].set_yticks(range(len(order)), [LABELS[w] for w in order])
    n = max(len(x) for shares in found.values() for x in shares.values())
    caption = (
        "Instances of five arms: exact values over the exact optimum, the reward of doing nothing "
        f"taken off both. Mean of up to {n} instances with Student's 95 % interval; dots: "
        "instances. No simulation."
    )
    return Drawing("9-exact", figure, {"caption": caption, "panels": drawn})


def times(tables: Mapping[str, Any]) -> Drawing | None:
    """Draw processor time against the number of arms."""
    scores: Found = tables["scores"]
    domains = [d for d in FOUR if any(s.domain == d and scores[s].seconds for s in scores)]
    if not domains:
        return None
    figure, axes = panels(2, len(domains), width=PAGE, height=2.0)
    drawn: dict[str, Any] = {}
    for column, domain in enumerate(domains):
        upper, lower = axes[column], axes[len(domains) + column]
        mine = [s for s in scores if s.domain == domain]
        drawn[domain] = {
            who: _times(upper, scores, mine, who, "decision", number, LABELS[who])
            for number, who in enumerate(TIMED)
        }
        for number, (who, clock, label) in enumerate(
            (("bounds", "fluid", "fluid bound"), (SEQUOIA, "training", "training"))
        ):
            drawn[domain][clock] = _times(lower, scores, mine, who, clock, number, label)
        upper.set_title(DOMAINS[domain])
        lower.set_xlabel("arms")
        for panel, first in ((upper, axes[0]), (lower, axes[len(domains)])):
            panel.sharey(first)
            panel.set_yscale("log")
            panel.set_xticks(sorted({s.n_arms for s in mine}))
            panel.tick_params(labelleft=panel is first)
    axes[0].set_ylabel("seconds per decision")
    axes[len(domains)].set_ylabel("seconds")
    for row in (axes[0], axes[len(domains)]):
        handles, labels = row.get_legend_handles_labels()
        place = "outside upper center" if row is axes[0] else "outside lower center"
        figure.legend(handles, labels, loc=place, ncols=4, columnspacing=1.0)
    caption = (
        "Processor time against the number of arms, median over instances: a decision of each "
        "policy in simulation, where repeated states are remembered (top); bound and training, "
        "whose episodes differ between sizes (bottom). Up to twenty arms the learner compares "
        "listed actions; all others ask the set's own rule, and a program where there is none. "
        "No intervals: readings of the clock of one machine."
    )
    return Drawing("10-times", figure, {"caption": caption, "seconds": drawn})


def _times(
    axes: Axes, scores: Found, settings: Sequence[Setting], who: str, clock: str, number: int,
    label: str,
) -> dict[str, float]:  # fmt: skip
    points = {}
    for setting in settings:
        seconds = [c[clock] for c in scores[setting].seconds.get(who, {}).values() if clock in c]
        if seconds:
            points[setting.n_arms] = float(np.median(seconds))
    if points:
        axes.plot(list(points), list(points.values()), label=label, **look(number))
    return {str(n): x for n, x in points.items()}
