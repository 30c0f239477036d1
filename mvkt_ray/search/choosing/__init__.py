"""What is tried next, and what is given up: search spaces, proposals, pruning, racing.

Choosing the configurations of finals is in `finals`; statistics without a search in `statistics`.
"""
