"""Solvers for robust models, and robust methods that learn from data."""
