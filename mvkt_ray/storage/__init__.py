"""Storage: locations, object stores, a node's cache of them, tables, and artifacts.

The content of an artifact belongs to the room that makes it (`data`, `training`, `distill`).
"""
