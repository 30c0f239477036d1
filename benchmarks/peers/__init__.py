"""The same search by mvkt-ray and by what people would write otherwise, side by side.

The peers use of mvkt_ray the network and the recipe only. Measuring one of our own loops against a
bare one is done by `trial_overhead`, not here.
"""
