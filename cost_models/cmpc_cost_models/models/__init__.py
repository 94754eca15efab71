"""What does a network cost? Counted, predicted, or measured: a model for each."""
