"""The report of a study: JSON, CSV tables, and an HTML page with figures.

Scores and intervals are computed in `statistics`; answers in a terminal are in `cli`.
"""
