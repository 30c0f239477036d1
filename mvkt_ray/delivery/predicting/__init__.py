"""Runs an exported model on recordings, without torch and Ray.

`data` reads and resamples recordings; `display` shows the predictions in a terminal.
"""
