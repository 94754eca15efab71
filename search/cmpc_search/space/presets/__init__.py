"""The spaces that cmpc ships: a file for each family, and the table of their names."""
