"""What is tried next, and what is given up: spaces, grids, limits, proposals, pruning, racing.

Plug-ins that a study names are found here as well. Choosing the configurations of finals is in
`finals`; statistics without a search in `statistics`.
"""
