"""Recordings: reading them from sources, keeping them in shards, dealing them out to models."""
