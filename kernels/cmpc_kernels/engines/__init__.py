"""The interface of a gallery, served by another library."""
