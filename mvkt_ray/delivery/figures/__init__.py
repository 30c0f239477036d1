"""Figures of the report, each a function that returns one SVG image as text."""
