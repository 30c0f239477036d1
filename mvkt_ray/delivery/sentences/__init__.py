"""The sentences of a report, made from its values; each only if they support it.

`facts` computes the numbers; nothing here reads a file.
"""
