"""This machine's disk: synchronous, knows SQLite and files, knows no network."""
