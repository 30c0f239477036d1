"""Files that make a cluster: rendered from a study's resources, read back, and compared with it.

A study has needs, a cluster has node groups; `fit` says whether the one holds the other.
"""
