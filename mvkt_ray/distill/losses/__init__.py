"""One published loss per file: functions of tensors, independent of configuration and other losses.

The table of losses, and their weighted sum, are in `mvkt_ray.distill.objective`.
"""
