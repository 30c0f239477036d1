"""Products of a study: its report (JSON, CSV tables, an HTML page with figures), and its models.

`statistics` computes scores and intervals; `display` shows answers in a terminal.
"""
