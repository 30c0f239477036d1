"""The trials of a study: their common inputs, opening a trial, and training its student.

The unit of work itself is in `student` one folder up, the epoch loop in `fit`.
"""
