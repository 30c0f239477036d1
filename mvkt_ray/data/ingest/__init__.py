"""Ingest: from a source's recordings to a published shard set, in jobs that a runner may map.

What a recording says is read in `sources`; shards are read back by `shards`, one folder up.
"""
