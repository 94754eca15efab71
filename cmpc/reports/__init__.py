"""How a run's results read: tables for people, documents for programs, the front as a picture."""

from cmpc.reports.accuracies import accuracy_table, protocol_table, verdict
from cmpc.reports.costs import (
    cost_table,
    unknown_latencies,
    unstable_latencies,
    warnings_of,
)
from cmpc.reports.front import (
    front_document,
    front_image,
    front_table,
    pick_sentence,
    search_sentences,
    unstable_trials,
)

__all__ = [
    "accuracy_table",
    "cost_table",
    "front_document",
    "front_image",
    "front_table",
    "pick_sentence",
    "protocol_table",
    "search_sentences",
    "unknown_latencies",
    "unstable_latencies",
    "unstable_trials",
    "verdict",
    "warnings_of",
]
