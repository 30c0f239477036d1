"""The numbers of a report: read once from a study, then computed section by section.

Pages, tables and figures, which present them, are one folder up.
"""
