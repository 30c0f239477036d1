"""What is tried next, and what is given up: spaces, grids, limits, proposals, pruning, racing; with
which plug-ins.

Choosing the configurations of finals is in `finals`; statistics without a search in `statistics`.
"""
