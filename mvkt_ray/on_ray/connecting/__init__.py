"""Reaching a cluster: its address, its token, the environment of a Ray of one's own, `ray.init`.

What a cluster holds is in `capacity`; what runs on it stands one folder up.
"""
