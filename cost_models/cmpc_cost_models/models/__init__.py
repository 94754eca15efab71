"""What does a network cost? Counted, predicted, or measured: one meter each."""
