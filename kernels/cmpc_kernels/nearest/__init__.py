"""Which rows of an array are nearest? Arrays in, neighbours out; nothing is kept."""
