"""Exports a student of a study as an artifact of its own, which runs without torch or Ray.

`export_model` makes it; the other modules each do one step. Reading and running an exported model
is in `predicting`, not here.
"""
