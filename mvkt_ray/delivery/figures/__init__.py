"""Figures of the report's page, each a function that returns one SVG image as text.

Those of the trials of a search are in `of_search`; the values that figures draw are computed in
`facts`, and the page's tables are one folder up.
"""
