"""What this home keeps for others: agreements, reserved space, stores, claims and master blocks."""
