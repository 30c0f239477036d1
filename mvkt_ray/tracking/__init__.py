"""Experiment trackers that hear how a study goes; optional, off by default, never in its way."""
