"""The contrast between roles: each image of a batch must find its partner among all others.

With a queue, queries must also tell their partner from gallery images of past batches
(cross-batch memory, Wang et al., CVPR 2020): a network moves slowly, so embeddings of some hundred
steps ago are still good to be told from, and cost nothing.

Shapes: B classes of a step, Q embeddings kept, D embedding length.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from cmpc_search.compatibility.base import NO_LABEL

__all__ = ["EmbeddingQueue", "contrast"]


class EmbeddingQueue(nn.Module):
    """The latest gallery embeddings and their labels; they are part of a checkpoint."""

    embeddings: Tensor
    labels: Tensor
    num_pushed: Tensor

    def __init__(self, size: int, embedding_dim: int) -> None:
        super().__init__()
        self.register_buffer("embeddings", torch.zeros(size, embedding_dim))
        self.register_buffer("labels", torch.full((size,), NO_LABEL))
        self.register_buffer("num_pushed", torch.tensor(0))

    def push(self, embeddings: Tensor, labels: Tensor) -> None:
        """Keep embeddings [B, D] in the places of the oldest."""
        size = len(self.labels)
        if size == 0:
            return
        numbers = self.num_pushed + torch.arange(len(labels), device=labels.device)
        places, kept = numbers[-size:] % size, slice(-size, None)
        self.embeddings[places] = embeddings.detach()[kept]
        self.labels[places] = labels[kept]
        self.num_pushed += len(labels)


def contrast(embeddings: Tensor, labels: Tensor, queue: EmbeddingQueue, *, scale: float) -> Tensor:
    """Cross-entropy of finding each image's partner in the other half of the batch, both ways.

    Another image of its own class is nothing to be told from, in the batch or in the queue.

    Args:
        embeddings: [2 B, D], queries first, of unit length.
        labels: int64 [2 B].
    """
    queries, gallery = embeddings.chunk(2)
    own, of_gallery = labels[: len(queries), None], labels[len(queries) :]
    partner = torch.arange(len(queries), device=embeddings.device)
    is_again = (of_gallery == own) & (own != NO_LABEL) & (partner != partner[:, None])
    scores = (scale * queries @ gallery.T).masked_fill(is_again, -torch.inf)
    # A copy: the gradient needs what is kept now, and the queue moves on before it is asked for.
    kept = scale * queries @ queue.embeddings.clone().T
    is_other = (queue.labels != own) & (queue.labels != NO_LABEL)
    kept = kept.masked_fill(~is_other, -torch.inf)
    across = functional.cross_entropy(torch.cat([scores, kept], dim=1), partner)
    back = functional.cross_entropy(scores.T, partner)
    return (across + back) / 2
