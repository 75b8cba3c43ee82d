"""Experiments, figures and the ``mdplib`` command.

Each experiment is a folder: cells (what is varied), run (one cell, pure), analyse (rows to
tables), figures (tables to drawings), expected.toml (the claims it is measured against).
`experiments.engine` runs the cells, `experiments.catalogue` lists the experiments.
"""
