"""Speed of `solvers.solve` against other libraries at equal proven accuracy.

Run ``python -m benchmarks.tabular --help`` from the root of the repository, or ``make bench``.
"""
