"""``mdplib reproduce``: sweep, analyse, draw, check the theorems, report."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections import Counter
from typing import get_args

from experiments.catalogue import EXPERIMENTS, chosen, load
from experiments.claims import Judgement
from experiments.engine.cells import Experiment, cell_values, keyed_cells
from experiments.engine.executors import Outcome
from experiments.engine.store import Store, open_results, read_json
from experiments.engine.sweep import sweep
from experiments.publish import publish
from experiments.report import write_report

FEW = 40  # claims that are printed one by one; the report lists all


def run(options: Namespace) -> int:
    """Reproduce the chosen experiments; exit code 1 if a cell failed or a theorem did not hold.

    ``all`` checks the theorems as well.
    """
    chosen_ones = [load(name) for name in chosen(options.experiment)]
    if options.dry_run:
        for experiment in chosen_ones:
            _preview(experiment, options)
        return 0
    failed = 0
    for experiment in chosen_ones:
        tally = sweep(
            experiment,
            options.scale,
            options.results,
            executor=options.executor or ("serial" if options.scale == "smoke" else "loky"),
            jobs=options.jobs,
            scheduler=options.address,
            say=_say,
        )
        print(f"{experiment.name}: {tally}")
        for outcome in tally.failed.values():
            _report_failure(experiment, options, outcome)
        failed += len(tally.failed)
        claims = publish(experiment, options.scale, options.results)["claims"]
        for claim in claims if len(claims) <= FEW else ():
            print(f"  {claim['judgement']:8} {claim['claim']['quantity']}")
        counts = Counter(claim["judgement"] for claim in claims)
        if counts:
            tally_of_claims = ", ".join(f"{counts[j]} {j}" for j in get_args(Judgement))
            print(f"  {len(claims)} claims: {tally_of_claims}")
    if options.experiment == "all":
        failed += _check_theorems(options)
    print(f"report: {write_report(options.results, EXPERIMENTS)}")
    return 1 if failed else 0


def _check_theorems(options: Namespace) -> int:
    """Examine the catalogue and return how many theorems or controls came out wrong."""
    from experiments.commands import check

    outcomes, bad = Counter[str](), 0
    for found in check.verdicts(check.selected(["all"]), options.scale, options.results):
        outcomes[found["outcome"]] += 1
        if not check.sound(found):
            bad += 1
            print(check.summary(found))
    counts = ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
    print(f"theorems: {counts}; {bad} unsound")
    return bad


def _say(text: str) -> None:
    print(f"mdplib: {text}", file=sys.stderr)


def _report_failure(experiment: Experiment, options: Namespace, outcome: Outcome) -> None:
    last = outcome.error.strip().splitlines()[-1]
    place = Store(options.results / experiment.name).path("failures", outcome.task.key)
    _say(
        f"{experiment.name}: cell {cell_values(outcome.task.cell)} failed twice: {last}; see "
        f"{place}, mend the cause and run the same command again"
    )


def _preview(experiment: Experiment, options: Namespace) -> None:
    """Say how many cells are missing and how long they may take."""
    store = Store(open_results(options.results, create=False) / experiment.name)
    keys = list(keyed_cells(experiment, options.scale))
    missing = [key for key in keys if not store.has(key)]
    times = [read_json(store.path("timings", key)) for key in store.listed("timings")]
    line = f"{experiment.name}: {len(keys)} cells, {len(missing)} to compute"
    if missing and times:
        mean = sum(time["wall_s"] for time in times if time) / len(times)
        line += f", about {mean * len(missing):.0f} s of one core at {mean:.2g} s per known cell"
    print(line)
