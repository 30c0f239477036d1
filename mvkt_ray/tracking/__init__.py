"""Experiment trackers, which receive a study's trials and epochs; optional, and off by default.

The ledger, from which a study is resumed, is in `search`; metrics of a cluster are in `on_ray`.
"""
