"""What each kind of node becomes: rules from a node to kernels, or to nothing of ours."""
