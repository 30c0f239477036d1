"""The ledger of a study, on a disk or in an object store: what is written, where, and by whom.

What the entries mean for a search, such as who is pruned, is in `choosing`, `spending`, `finals`.
"""
