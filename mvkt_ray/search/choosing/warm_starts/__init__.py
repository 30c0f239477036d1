"""Warm starts of a search: configurations to try first, and trials of another study.

Proposals themselves are in `choosing`, one folder up.
"""
