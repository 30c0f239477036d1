"""Finals: what was chosen, trained again with several seeds, and the test split opened once.

What may be claimed from them is in `statistics` and `delivery`.
"""
