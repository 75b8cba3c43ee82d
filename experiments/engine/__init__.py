"""A small engine for sweeps: pure cells in, one file per finished row out.

``cells`` says what a cell is and where its row lives, ``store`` keeps rows, ``executors`` run
tasks on one core, all cores or a cluster, ``sweep`` ties them together, ``provenance`` writes
down how. Whatever the executor, the rows are the same bytes.
"""
