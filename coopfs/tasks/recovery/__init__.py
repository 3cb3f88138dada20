"""From the partners alone: the newest state of a disk, for a restore view or a new machine."""
