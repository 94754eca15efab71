"""Structure similarity preservation: lie among the anchors of a product quantiser as the gallery.

Wu et al., IEEE Transactions on Multimedia 2024, "Structure similarity preservation learning for
asymmetric image retrieval". Embeddings are cut into m parts; in each, k-means of the gallery's
embeddings finds centroids ``c``, which stay as they are. All parts and centroids have unit length:

    loss = mean over parts of KL(softmax(s g.c) || softmax(s q.c)), with s = 10

The loss is 0 at ``q = g`` and nowhere less. How long one part is beside another it doesn't see:
sum it with a method that does.
"""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.base import Method, MethodSettings, Need, Step
from cmpc_search.errors import BadArgument
from cmpc_search.networks.heads import class_means

__all__ = ["SspSettings", "StructureSimilarity"]

NUM_ROUNDS = 20  # of k-means


class SspSettings(MethodSettings):
    """What is set of structure similarity preservation."""

    parts: int = Field(4, ge=1, le=1024, description="Parts that an embedding is cut into.")
    centroids: int = Field(64, ge=2, le=4096, description="Centroids of each part.")
    scale: float = Field(10.0, gt=0, le=1e6, description="Inverse temperature.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Decides where k-means begins.")


class StructureSimilarity(Method):
    """KL divergence between both networks' soft assignments to the anchors."""

    Settings = SspSettings
    settings: SspSettings
    needs = frozenset({Need.GALLERY_EMBEDDINGS})

    def prepare(self, bank: GalleryBank) -> None:
        if bank.embedding_dim % self.settings.parts:
            raise BadArgument(
                f"the parts of ssp must divide the {bank.embedding_dim} numbers of an embedding, "
                f"got {self.settings.parts}"
            )
        generator = torch.Generator().manual_seed(self.settings.seed)
        parts = _cut(bank.embeddings, self.settings.parts).unbind(dim=1)
        anchors = [spherical_k_means(one, self.settings.centroids, generator) for one in parts]
        self.register_buffer("anchors", torch.stack(anchors))

    def losses(self, embeddings: Tensor, step: Step) -> Mapping[str, Tensor]:
        assert step.gallery_embeddings is not None  # they are among the needs
        found, wanted = self._assigned(embeddings), self._assigned(step.gallery_embeddings)
        each = functional.kl_div(found, wanted, log_target=True, reduction="none")
        return {"anchors": step.mean(each.sum(dim=2).mean(dim=1))}

    def _assigned(self, embeddings: Tensor) -> Tensor:
        """Return the logarithms of the assignments, float32 [N, parts, centroids]."""
        parts = _cut(embeddings, self.settings.parts)
        cosines = torch.einsum("nmd,mcd->nmc", parts, self.get_buffer("anchors"))
        return (self.settings.scale * cosines).log_softmax(dim=2)


def _cut(embeddings: Tensor, num_parts: int) -> Tensor:
    """Return the parts of embeddings [N, D], of unit length: float32 [N, num_parts, D / ...]."""
    return functional.normalize(embeddings.reshape(len(embeddings), num_parts, -1), dim=2)


def spherical_k_means(vectors: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return ``count`` unit centroids of unit vectors [N, D], or N if these are fewer.

    A centroid that nothing is nearest to stays where it was.
    """
    first = torch.randperm(len(vectors), generator=generator)[:count]
    centroids = vectors[first]
    for _ in range(NUM_ROUNDS):
        nearest = (vectors @ centroids.T).argmax(dim=1)
        means = class_means(vectors, nearest, len(centroids))
        centroids = torch.where(means.any(dim=1, keepdim=True), means, centroids)
    return centroids
