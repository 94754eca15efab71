"""Which kernels does a network need, in which order? Specs, rules for nodes, the plan."""
