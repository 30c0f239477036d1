"""Figures of the report's page, each a function that returns one SVG image as text.

The values that figures draw are computed in `facts`; the page's tables are one folder up.
"""
