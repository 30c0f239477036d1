"""Usage and costs of trainings: meters, prices, budgets, forecasts.

The number of workers that fit on a node is in `slots`.
"""
