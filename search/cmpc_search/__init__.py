"""Decide which query network to keep: data, spaces, supernets, compatibility, search."""
