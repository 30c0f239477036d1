"""Scores of predictions, and the uncertainty of scores: numpy and scipy, no torch.

Predictions are made in `training`; the sentences about scores are written in `delivery`, not here.

Import from the modules:

- `scores`, `decisions`, `challenge_weights`: areas, precision, thresholds, F measures, the metric
  of the PhysioNet Challenges;
- `temperature`: calibration by temperature scaling;
- `weighted_auroc`, `resampling`, `intervals`: areas under resampled patients and seeds;
- `best_set`, `gains`, `seed_noise`: who may be the best; paired differences, corrected;
- `split_gap`: a distance between scores, split into parts and their shares;
- `pareto`: the Pareto front, and a few points that represent it;
- `selection`: the selection bias of the best of many configurations.
"""
