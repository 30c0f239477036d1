"""Connecting to a cluster: address, token, environment of an own Ray instance, `ray.init`.

The cluster's resources are in `capacity`, and its work in the folder above.
"""
