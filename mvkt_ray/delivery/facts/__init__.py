"""What a report says, as plain values: read once from a study, then computed, section by section.

How it looks, as page, table or figure, is decided one folder up.
"""
