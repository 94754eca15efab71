"""The metrics by which embeddings are compared: their names, and the numbers of compiled code."""

__all__ = ["COSINE", "IP", "L2", "METRIC_NUMBERS"]

IP, COSINE, L2 = range(3)
METRIC_NUMBERS = {"cosine": COSINE, "ip": IP, "l2": L2}
