"""Where does a network's time go? Each kernel's share, how close it is to the machine's limits.

stopwatch   stamps the calls of a compiled network as they run
peaks       what this machine's cores and caches can do at most
rival       ONNX Runtime on the same network, timed in turn with ours
worker      does all this in a process that may be lost
profiler    asks the worker, and returns a ``records.NetworkProfile``
"""
