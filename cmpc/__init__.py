"""Find, compile and ship the small query network of a visual search system."""

__version__ = "0.1.0"

__all__ = ["__version__"]
