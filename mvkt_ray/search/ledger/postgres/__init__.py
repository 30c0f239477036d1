"""A ledger in a PostgreSQL database: its address, who drives a study there, and its storage.

The only place that imports psycopg. What the rows of a ledger mean is in the folder above.
"""
