"""Tabular solvers, one algorithm per file."""
