"""One verb per file, named as it is typed: parse, call, print. Verbs of `mvkt cluster`: `cluster`.

What several verbs need stands one folder up, what they show in `display`.
"""
