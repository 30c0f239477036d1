"""Where a search begins from something known: configurations to try first, trials of another study.

Everything that is drawn without it is in `choosing`, above.
"""
