"""POSIX semantics on inodes and extents; pyfuse3 stays in the thin adapter."""
