"""The matching server and its client (paper, section 2.1; coopfs-match(8))."""
