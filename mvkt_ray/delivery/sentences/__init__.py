"""What the report says in words, made from its facts, each sentence only where they bear it out.

Numbers are computed in `facts`; nothing here reads a file.
"""
