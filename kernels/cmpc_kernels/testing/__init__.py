"""Tests that every part of a kind must pass; a new one subclasses them in four lines."""
