"""How networks learn: augmented views, gallery training, supernet training, training one pick."""
