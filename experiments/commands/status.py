"""``mdplib status``: what is finished, missing, failed, stale."""

from argparse import Namespace

from experiments.catalogue import EXPERIMENTS, load
from experiments.engine.cells import SCALES, keyed_cells
from experiments.engine.store import Store, open_results


def run(options: Namespace) -> int:
    """Print one line per experiment and scale."""
    open_results(options.results, create=False)
    print(
        f"{'experiment':12} {'scale':8} {'cells':>7} {'finished':>9} {'missing':>8} {'failed':>7}"
    )
    for name in EXPERIMENTS:
        experiment, store = load(name), Store(options.results / name)
        rows, failures = set(store.listed()), set(store.listed("failures"))
        known: set[str] = set()
        for scale in SCALES:
            keys = set(keyed_cells(experiment, scale))
            known |= keys
            done, failed = len(keys & rows), len(keys & failures - rows)
            missing = len(keys) - done - failed
            print(f"{name:12} {scale:8} {len(keys):7} {done:9} {missing:8} {failed:7}")
        stale = len(rows - known)
        if stale:
            print(f"{name:12} {stale} stale rows: of an earlier epoch, seed or grid, never read")
    return 0
