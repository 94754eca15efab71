"""Who proposes the next architecture: one file for each sampler, and the table of their names."""
