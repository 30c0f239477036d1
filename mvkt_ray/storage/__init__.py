"""Where bytes lie: locations, object stores, a node's cache of them, tables, and artifacts.

What is in an artifact belongs to whoever makes it (`data`, `training`, `distill`), not here.
"""
