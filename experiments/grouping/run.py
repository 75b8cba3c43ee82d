"""One cell of any family."""

from __future__ import annotations

from experiments.engine.cells import Row, Streams
from experiments.grouping.cells import Cell, Curve, Guarantee, Probe


def run(cell: Cell, streams: Streams) -> Row:
    """Compute a cell; see the module of its family."""
    if isinstance(cell, Curve):
        from experiments.grouping import curve

        return curve.run(cell, streams)
    if isinstance(cell, Guarantee):
        from experiments.grouping import guarantee

        return guarantee.run(cell, streams)
    if isinstance(cell, Probe):
        from experiments.grouping import probe

        return probe.run(cell, streams)
    from experiments.grouping import rivals

    return rivals.run(cell, streams)
