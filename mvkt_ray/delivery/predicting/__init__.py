"""Runs an exported model on recordings, with neither torch nor Ray.

How recordings are read and brought to a rate is in `data`; what a terminal shows is in `display`.
"""
