"""A gallery that is kept: built, searched, changed, and stored in files."""
