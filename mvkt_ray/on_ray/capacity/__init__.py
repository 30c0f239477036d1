"""What a cluster holds, and may come to hold, as Ray tells of it, and how many trials it is given.

Whether a worker fits a node is decided without Ray, in `slots`.
"""
