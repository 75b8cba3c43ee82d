"""One cell of any family."""

from __future__ import annotations

from experiments.engine.cells import Row, Streams
from experiments.r2pvi.cells import Cell, Guarantee, Option, Simulated, Timing


def run(cell: Cell, streams: Streams) -> Row:
    """Compute a cell; see the module of its family."""
    if isinstance(cell, Simulated):
        from experiments.r2pvi import simulated

        return simulated.run(cell, streams)
    if isinstance(cell, Option):
        from experiments.r2pvi import option

        return option.run(cell, streams)
    if isinstance(cell, Timing):
        from experiments.r2pvi import timing

        return timing.run(cell, streams)
    if isinstance(cell, Guarantee):
        from experiments.r2pvi import guarantee

        return guarantee.run(cell, streams)
    from experiments.r2pvi import truth

    return truth.run(cell, streams)
