"""Studies beside each other: what each came to, and paired differences where they can be had.

The comparisons within one study are not here but in `facts`.
"""
