"""Gaps of a report: from validation to test scores, and from students to their teacher.

Gains and lead pairs are in `comparisons`, not here.
"""
