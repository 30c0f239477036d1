"""Clusters spoken to over HTTP: jobs sent, listed, stopped; their logs; nodes seen from outside.

Nothing here starts a driver or connects to Ray itself; that is in `connecting`.
"""
