"""Failures of trials: whether the trial or the machine is the cause, and when the study stops.

The classification of a single error is in `machine_faults` and in the runners.
"""
