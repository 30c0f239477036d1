"""The public interface of `import mvkt_ray`: studies, shards, students, and the verbs as functions.

It asks `search`, `delivery` and `on_ray`, and returns objects; verbs call it, and put what it
returns into words in `cli`. Nothing here is imported before it is used: see `mvkt_ray/__init__.py`.
"""
