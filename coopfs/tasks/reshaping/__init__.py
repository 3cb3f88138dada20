"""Another partner for a column, another size, another layout, another key, while the disk is used."""
