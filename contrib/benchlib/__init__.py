"""The parts of contrib/bench: what is done, to what, what it costs, and the table."""
