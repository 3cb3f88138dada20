"""Trio loops that join the layers: writer, fetcher, cleaner, columns."""
