"""Drawings of recordings, true to scale: ECG paper (`ecg_paper`) and the 12-lead `ecg_sheet`.

Figures of scores and trials are in `mvkt_ray.delivery`; nothing here reads files of signals.
"""
