"""Files that make a cluster: rendered from a study's resources, read back, and compared with them.

A study has needs, a cluster has node groups; `cluster_fit` says whether the one holds the other.
Clusters that run already are examined in `on_ray`, not here.
"""
