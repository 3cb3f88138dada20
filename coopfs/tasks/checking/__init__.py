"""Whether all is as the tables and the partners say: checks, scrubs, challenges."""
