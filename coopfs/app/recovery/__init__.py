"""From a kit: the restore view, the copy, and the takeover."""
