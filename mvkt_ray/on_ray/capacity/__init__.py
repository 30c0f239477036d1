"""Present and possible resources of a cluster, as reported by Ray, and the number of trials.

`slots`, without Ray, decides whether a worker fits a node.
"""
