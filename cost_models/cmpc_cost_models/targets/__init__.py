"""What can be compiled for, and what with? Targets, devices, this machine, toolchains, runtimes."""
