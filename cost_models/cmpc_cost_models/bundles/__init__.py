"""What goes to a device: a network, its program, its manifest; written, opened and verified."""
