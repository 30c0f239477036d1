"""Finals: the chosen configurations, trained again with several seeds and examined once.

Their statistical evaluation is in `statistics` and `delivery`.
"""
