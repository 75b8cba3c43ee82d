"""How far a sweep has come: a bar on a terminal, sparse lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

LINE_EVERY_S = 30.0


@contextmanager
def progress(
    label: str, total: int, done: int = 0, stream: TextIO | None = None
) -> Iterator[Callable[[], object]]:
    """Show progress with the remaining time while the block runs.

    Parameters
    ----------
    label : str
        What is counted.
    total, done : int
        All steps, and those already done before.
    stream : file, optional
        Where to write; standard error by default.

    Yields
    ------
    callable
        To be called once per step.

    Examples
    --------
    >>> with progress("toy", 2, stream=sys.stdout) as advance:
    ...     advance(); advance()
    toy: 2 of 2 cells, done
    """
    place = sys.stderr if stream is None else stream
    if place.isatty():
        from tqdm import tqdm

        with tqdm(total=total, initial=done, desc=label, unit="cell", file=place) as bar:
            yield bar.update
        return
    start = last = time.monotonic()
    count = done

    def advance() -> None:
        nonlocal count, last
        count += 1
        now = time.monotonic()
        if count < total and now - last >= LINE_EVERY_S:
            last = now
            left = (now - start) / (count - done) * (total - count)
            print(f"{label}: {count} of {total} cells, {_span(left)} left", file=place, flush=True)

    yield advance
    if count > done:
        end = "done" if count == total else "stopped"
        print(f"{label}: {count} of {total} cells, {end}", file=place, flush=True)


def _span(seconds: float) -> str:
    """Return a duration as people say it.

    Examples
    --------
    >>> _span(75), _span(7300)
    ('1 min 15 s', '2 h 1 min')
    """
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    if hours:
        return f"{hours} h {m} min"
    return f"{m} min {s} s" if m else f"{s} s"
