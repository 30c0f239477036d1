"""Figures of the report's page: one function per figure returns one SVG image as text.

Figures of a search's trials are in `of_search`. `facts` computes the drawn values; the page's
tables are one folder up.
"""
