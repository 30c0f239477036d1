"""A search: the study that is asked for trials, the runners' contract, and the stages around them.

What a trial computes is in `training`; what only Ray does in `on_ray`; what is said of it in
`delivery`.
"""
