"""Everything that a target needs which is not this machine: tools, runtime, an emulated check."""
