"""Training of teachers and students: the epoch loop, metrics, checkpoints; torch, one rank or many.

Losses are in `distill`, networks in `models`; the choice of hyper-parameters is in `search`.
"""
