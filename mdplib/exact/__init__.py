"""Arithmetic without rounding: sparse equations, rows and values of models in rational numbers.

`numbers` holds vectors over one denominator and their nearest doubles, `lifting` and `linear`
solve sparse equations, `rows` evaluates policies and compares actions. Which rational numbers the
floats of a model stand for is decided in `mdplib.rational`.
"""
