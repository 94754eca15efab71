"""What one unit of those that users read is, in the unit that code counts in."""

__all__ = ["MMAC"]

MMAC = 1_000_000
"""Multiply-accumulates in a million of them."""
