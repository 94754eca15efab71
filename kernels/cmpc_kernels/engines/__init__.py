"""Carry a gallery into other engines, and back."""
