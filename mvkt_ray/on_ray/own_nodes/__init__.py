"""Nodes of a cluster on this machine: what is asked for, whether it may join, its start and end.

Machines that a cloud or Kubernetes starts are described in `cluster_files`.
"""
