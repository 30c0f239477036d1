"""A student leaves the study: an artifact of its own, which runs without torch or Ray.

`export_model` makes it; the other modules each do one step. What reads and runs an exported model
is in `predicting`, not here.
"""
