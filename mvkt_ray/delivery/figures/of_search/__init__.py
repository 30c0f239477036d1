"""Figures of a search's trials: by hyper-parameter, by epoch and by size of the student.

Figures of models and recordings are in `figures`, as are the common parts of all figures.
"""
