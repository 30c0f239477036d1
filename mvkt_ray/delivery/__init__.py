"""What leaves a study: its report (JSON, CSV tables, an HTML page with figures), and its models.

Scores and intervals are computed in `statistics`; answers in a terminal are in `display`.
"""
