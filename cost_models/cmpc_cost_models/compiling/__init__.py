"""From a plan to a library on disk: objects of kernels, imported nodes, linking, and the cache."""
