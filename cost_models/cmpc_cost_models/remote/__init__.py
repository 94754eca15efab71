"""Measure on another machine, through TVM's RPC: its server, or a tracker that hands out boards."""
