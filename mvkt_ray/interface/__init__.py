"""What `import mvkt_ray` offers: studies, shards, students, and what the verbs do, as functions.

It asks `search`, `delivery` and `on_ray`, and returns objects; verbs call it, and put what it
returns into words in `cli`. Nothing here is imported before it is used: see `mvkt_ray/__init__.py`.
"""
