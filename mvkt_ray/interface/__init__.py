"""The public interface of `import mvkt_ray`: studies, shards, students, and the verbs as functions.

It calls `search`, `delivery` and `on_ray`, and returns objects; verbs call it, and `cli` formats
the results. Modules here are imported on first use: see `mvkt_ray/__init__.py`.
"""
