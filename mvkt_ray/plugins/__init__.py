"""Plug-ins: networks, sources, losses and tasks of installed third-party packages.

They are listed by the names of their entry points, and imported when a study names one. The
interface of each kind is in `models`, `sources`, `distill` and `tasks`. A study file cannot import
arbitrary code: it can only name entry points of installed packages.
"""
