"""The ledger of a study on a disk, on a server or in an object store: format, places and drivers.

The use of its entries in a search, such as pruning, is in `choosing`, `spending` and `finals`.
"""
