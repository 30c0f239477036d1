"""A ledger in a PostgreSQL database: its address, who drives a study there, and its storage.

The only place that imports psycopg. What the rows of a ledger mean is in `ledger_rows`, above, and
files and object stores that hold one are there, too; none of them belongs here.
"""
