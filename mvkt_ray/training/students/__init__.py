"""The trials of a study: what they share, how one is opened, and how its student is trained.

The unit of work itself is in `student` one folder up, the epoch loop in `fit`.
"""
