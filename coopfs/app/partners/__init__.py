"""This node among others: finding partners, agreements with them, and their ends."""
