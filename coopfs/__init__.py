"""coopfs: cooperative backup as a mounted filesystem."""

__version__ = "0.1.0"
