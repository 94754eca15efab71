"""What a search must beat: networks that are trained as its pick is, and held against it."""
