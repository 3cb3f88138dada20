"""This node's own disk, put together, and what its owner may ask of it."""
