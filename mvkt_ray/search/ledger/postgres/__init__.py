"""A ledger in a PostgreSQL database: its address, the lock of its driver, and its storage.

The only room that imports psycopg. The rows' meaning (`ledger_rows`), and ledgers in files and
object stores, belong to the room above.
"""
