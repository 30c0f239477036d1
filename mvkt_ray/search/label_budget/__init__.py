"""Label budgets: one study repeated with different amounts and draws of labels.

Training and examination of each study are in `pipeline` and `finals`.
"""
