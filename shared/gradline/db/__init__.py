"""The truth: one SQL database, SQLite or PostgreSQL. Only `jobs.py` writes job rows."""
