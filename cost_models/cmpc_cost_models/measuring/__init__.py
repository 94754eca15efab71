"""What ``measured.LatencyMeter`` is made of: the worker process, its messages, the verdict."""
