"""Do embeddings cover a data set, and are they those of a network?

Shapes: N images, D embedding length.
"""

from collections import Counter
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from cmpc_search.data import ROLES, SPLITS, ImageSet
from cmpc_search.embeddings import Embeddings
from cmpc_search.errors import BadEmbeddings

__all__ = ["LEAST_COSINE", "check_covers", "cosines"]

LEAST_COSINE = 0.99
"""Two embeddings of one image by one network are at least as alike, whoever computed them."""


def check_covers(
    embeddings: Embeddings, image_set: ImageSet, *, roles: Collection[str] = ROLES
) -> None:
    """Refuse embeddings that lack items of ``image_set``; the lacking are told by split and role.

    Only items of these ``roles`` must have some.

    Raises:
        BadEmbeddings: some lack.
    """
    names = set(embeddings.lacking(image_set.item_names))
    lacking = [row for row, name in enumerate(image_set.item_names) if name in names]
    if not {ROLES[int(image_set.is_query[row])] for row in lacking} & set(roles):
        return
    counted = Counter(
        (SPLITS[image_set.split[row]], ROLES[int(image_set.is_query[row])]) for row in lacking
    )
    told = ", ".join(f"{count} {split} {role}" for (split, role), count in counted.items())
    raise BadEmbeddings(
        f"the embeddings must have a row for each of the {len(image_set)} items of "
        f"{image_set.name}, {len(lacking)} have none ({told}), the first is "
        f"{image_set.item_names[lacking[0]]!r}; embed them with `cmpc gallery embed`, or import "
        "the network with the embeddings, which embeds the queries that they lack"
    )


def cosines(
    one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the cosine [N] of each row of ``one`` to that row of ``other``, both [N, D].

    A row without a direction (zeros, NaN, infinities) is like no other: its cosine is 0.
    """
    wide, other_wide = one.astype(np.float64), other.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        lengths = np.linalg.norm(wide, axis=1) * np.linalg.norm(other_wide, axis=1)
        found = np.einsum("nd,nd->n", wide, other_wide) / lengths
    alike: npt.NDArray[np.float32] = np.where(np.isfinite(found), found, 0).astype(np.float32)
    return alike
