"""Scores of predictions, and the uncertainty of scores: numpy and scipy, no torch.

Predictions are made in `training`; the sentences about scores are written in `delivery`, not here.

Import from the modules:

- `scores`, `decisions`, `challenge_weights`: areas, precision, thresholds, F measures, the metric
  of the PhysioNet Challenges;
- `temperature`: calibration by temperature scaling;
- `weighted_auroc`, `resampling`, `intervals`: areas under resampled patients and seeds;
- `best_set`, `gains`, `seed_noise`: who may be the best; paired differences, corrected;
- `split_gap`: a distance between scores, and which shares of it lie between others;
- `pareto`: points that no other one beats in everything, and a few of them that span the front;
- `selection`: what the best of many configurations is worth after it was chosen.
"""
