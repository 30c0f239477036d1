"""The only Ray code: the runner that is a cluster, its Tune run over trials, its Train runs.

What needs no Ray belongs below: in `search`, `training`, or `cluster_files`.
"""
