"""Recordings: read from sources, kept in shards, split by patient, cut into views, and loaded.

Networks are in `models`, scores of predictions in `statistics`; nothing here imports torch but the
`loader`.
"""
