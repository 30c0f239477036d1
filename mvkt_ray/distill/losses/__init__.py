"""One published loss per file: functions of tensors that know no configuration and no other loss.

The table of losses, and their weighted sum, are not here but in `mvkt_ray.distill.objective`.
"""
