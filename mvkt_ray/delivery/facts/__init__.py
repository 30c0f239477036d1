"""Content of a report as plain values: read once from a study, then computed by section.

How it looks, as page, table or figure, is decided one folder up.
"""
