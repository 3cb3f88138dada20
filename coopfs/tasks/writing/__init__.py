"""The life of a write: from a commit here until a group is held by the partners."""
