"""Figures of how a search went: its trials, by hyper-parameter, by epoch and by size of student.

Those of models and of recordings are in `figures`, as is what all figures share.
"""
