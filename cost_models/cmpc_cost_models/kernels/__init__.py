"""The code of each kernel: loops for TVM from a spec and a schedule."""
