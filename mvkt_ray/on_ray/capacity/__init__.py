"""Present and possible resources of a cluster, as Ray reports them, and the number of trials.

Whether a worker fits a node is decided without Ray, in `slots`.
"""
