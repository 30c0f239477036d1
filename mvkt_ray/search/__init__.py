"""A search: its plan, the stages that carry it out, the study that is asked for trials, the runners.

What a trial computes is in `training`; what only Ray does in `on_ray`; what is said of it in
`delivery`.
"""
