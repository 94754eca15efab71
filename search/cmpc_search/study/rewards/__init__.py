"""What a search maximises: the promise, the rewards themselves, and the table of their names."""
