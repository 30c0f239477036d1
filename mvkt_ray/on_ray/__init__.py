"""The only Ray code: the runner on a cluster, its Tune run of all trials, its Train runs.

Code that needs no Ray belongs below: in `search`, `training` or `cluster_files`.
"""
