"""Verbs of a study that has run: its finals, its report, its models, and what it leaves on disk.

What looks at any artifact or at a search under way stands one folder up.
"""
