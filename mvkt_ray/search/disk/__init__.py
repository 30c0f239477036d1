"""Disk space of a study: predicted before it starts, and released when a trial fails.

Removal of unneeded files afterwards is in `leftovers`, a trial's folder in `trial_files`.
"""
