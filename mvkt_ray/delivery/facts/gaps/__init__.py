"""Distances that a report explains: from validation to test, from students to their teacher.

Gains and leads against leads are not here but in `comparisons`.
"""
