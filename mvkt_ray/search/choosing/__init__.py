"""The choice of trials: spaces, grids, limits, proposals, pruning, racing, plug-ins of a study.

The choice of the finals' configurations is in `finals`, general statistics in `statistics`.
"""
