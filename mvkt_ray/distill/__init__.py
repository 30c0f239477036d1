"""Distillation: losses, the objective that sums them, and the teacher's knowledge.

The epoch loop that minimises the objective is in `training`, networks are in `models`.
"""
