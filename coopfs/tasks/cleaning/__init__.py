"""What keeps the disk fit to be written: repair of what lacks blocks, and rows that come back."""
