"""Solvers for problems without discounting, one algorithm per file."""
