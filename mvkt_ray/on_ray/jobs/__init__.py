"""Clusters over HTTP: submission, list, end and logs of jobs; view of a cluster's nodes.

Starting a driver and connecting to Ray itself is in `connecting`.
"""
