"""The torch networks: query networks, their supernet, gallery networks and cosine heads."""
