"""Figures of a search's trials: by hyper-parameter, by epoch and by size of the student.

Not by `optuna.visualization.matplotlib`, which draws scores as the study holds them: over several
leads they show the leads (see `centred`), and it has no style for trials that were pruned, or of
baselines. Figures of models and recordings are in `figures`, as are the common parts of all
figures.
"""
