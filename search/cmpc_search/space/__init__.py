"""Which query networks exist: architectures, search spaces, their presets and their exact MACs."""
