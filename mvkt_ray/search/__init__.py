"""A search: its plan, its stages, and the study from which runners get trials.

The computation of a trial is in `training`, the runner on Ray in `on_ray`, reports in `delivery`.
"""
