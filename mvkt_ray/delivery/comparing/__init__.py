"""Comparison of studies: the scores of each, and paired differences on a common test split.

The comparisons within one study are in `facts`, not here.
"""
