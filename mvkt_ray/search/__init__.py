"""A search: its plan, the stages that carry it out, the study that runners ask for trials.

What a trial computes is in `training`; what only Ray does in `on_ray`; what is said of it in
`delivery`.
"""
