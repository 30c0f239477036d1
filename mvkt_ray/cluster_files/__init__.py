"""Cluster files: rendered from a study's resources, read back, and compared with them.

A study has needs, a cluster has node groups; `cluster_fit` checks that the groups hold the needs.
Checks of running clusters are in `on_ray`.
"""
