"""Plug-ins: networks, sources, losses and tasks of packages that other people have written.

They are found here by their entry points, as names, and imported when a study names one. What each
kind must be is not said here but in `models`, `sources`, `distill` and `tasks`. Nothing in YAML
leads to an import: an entry point is there because somebody has installed its package.
"""
