"""``mdplib report``: rebuild the page of results from the files."""

from argparse import Namespace

from experiments.catalogue import EXPERIMENTS
from experiments.report import write_report


def run(options: Namespace) -> int:
    """Write ``index.html`` and print its path."""
    print(write_report(options.results, EXPERIMENTS))
    return 0
