"""Which nodes stand together for one? A file for each pattern; ``matching`` finds them all."""
