"""One published loss per file: functions of tensors that know no configuration and no other loss.

The only list of them is in `mvkt_ray.distill.objective`.
"""
