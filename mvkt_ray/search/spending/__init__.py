"""What trainings reserve, cost, and may cost: meters, prices, budgets, forecasts.

How many workers a node holds is a question of resources, not of money, and is not answered here.
"""
