"""Loops that Numba compiles: arrays in, arrays filled. They check nothing and allocate nothing.

scans          walks over a gallery, with candidates, heaps
code_tiles     a scan's innermost loops over codes, float_tiles over rows; emitter, intrinsics,
               unpacking
encoders       rows and queries to codes
lane_sums      sums that are the same on every processor
scores, counts tiles of inner products, and what metrics count in them
options        how all of them are compiled, and caching, where the code is kept
"""
