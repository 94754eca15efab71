"""Where pictures come from: one file for each source, and the catalogue of those with a name."""
