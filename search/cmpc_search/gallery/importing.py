"""Make a gallery folder from what a user already has: an ONNX network, or ready embeddings."""

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
from onnx import external_data_helper

from cmpc_cost_models.counted import count_network, input_and_output_shape, load_graph
from cmpc_cost_models.digests import file_sha256
from cmpc_search.directions import check_directions
from cmpc_search.embeddings import (
    EMBEDDINGS_FILE,
    Embeddings,
    read_embeddings,
    write_embeddings,
)
from cmpc_search.errors import BadArgument, BadGallery
from cmpc_search.files import replacing
from cmpc_search.gallery.classifier import read_classifier
from cmpc_search.gallery.folder import (
    CLASSIFIER_FILE,
    ONNX_FILE,
    RECORD_FILE,
    SCHEMA_VERSION,
    Gallery,
    open_gallery,
)
from cmpc_search.runs.files import write_json

__all__ = ["GallerySources", "import_gallery"]


@dataclass(frozen=True, kw_only=True, slots=True)
class GallerySources:
    """Files to make a gallery from; a network or embeddings must be among them."""

    onnx_path: Path | None = None
    embeddings_path: Path | None = None
    ids_path: Path | None = None
    classifier_path: Path | None = None
    split_seed: int = 0
    """Seed that divides the data this gallery is used with."""


def import_gallery(folder: Path, sources: GallerySources) -> Gallery:
    """Copy ``sources`` into a new gallery ``folder``.

    Raises:
        BadArgument: the folder is a gallery already, or no source is given.
        BadGallery, BadEmbeddings: a source can't be used.
    """
    if (folder / RECORD_FILE).exists():
        raise BadArgument(f"{folder} must not be a gallery yet; choose another folder")
    if sources.onnx_path is None and sources.embeddings_path is None:
        raise BadArgument("a gallery must come from a network or from embeddings, got neither")
    embeddings = _embeddings(sources)
    network = None if sources.onnx_path is None else _self_contained(sources.onnx_path)
    record: dict[str, object] = {
        "schema_version": SCHEMA_VERSION,
        "split_seed": sources.split_seed,
    } | _facts(sources, network, embeddings)
    folder.mkdir(parents=True, exist_ok=True)
    if network is not None:
        with replacing(folder / ONNX_FILE) as file:
            file.write(network)
    if sources.classifier_path is not None:
        shutil.copyfile(sources.classifier_path, folder / CLASSIFIER_FILE)
    if embeddings is not None:
        kept = replace(embeddings, network_sha256=str(record["network_sha256"]))
        write_embeddings(folder / EMBEDDINGS_FILE, kept)
    write_json(folder / RECORD_FILE, record)
    return open_gallery(folder)


def _facts(
    sources: GallerySources, network: bytes | None, embeddings: Embeddings | None
) -> dict[str, object]:
    """Return what the record says of the sources, once they are known to fit together."""
    if sources.onnx_path is not None and network is not None:
        facts = _network_facts(sources.onnx_path)
        facts["network_sha256"] = hashlib.sha256(network).hexdigest()
        _check_length(embeddings, facts["embedding_dim"], sources)
    else:
        assert sources.embeddings_path is not None
        assert embeddings is not None
        facts = {
            "network": None,
            "network_sha256": embeddings.network_sha256 or file_sha256(sources.embeddings_path),
            "embedding_dim": embeddings.rows.shape[1],
        }
    if sources.classifier_path is not None:
        _check_classifier(sources.classifier_path, facts["embedding_dim"])
    return facts


def _network_facts(path: Path) -> dict[str, object]:
    input_shape, output_shape = input_and_output_shape(load_graph(path))
    if len(input_shape) != 4 or input_shape[1] != 3 or input_shape[2] != input_shape[3]:
        raise BadGallery(
            f"{path} must read square RGB images [N, 3, S, S] of a fixed size, got {input_shape}"
        )
    if len(output_shape) != 2:
        raise BadGallery(f"{path} must give embeddings [N, D], got {output_shape}")
    counted = count_network(path)
    return {
        "network": "onnx",
        "input_size_px": input_shape[2],
        "embedding_dim": output_shape[1],
        "macs": counted.macs // input_shape[0],
        "parameters": counted.parameters,
    }


def _self_contained(path: Path) -> bytes:
    """Return the network with its weights, which may lie in files beside ``path``."""
    model = load_graph(path)
    bare = onnx.load(path, load_external_data=False)
    is_split = any(map(external_data_helper.uses_external_data, bare.graph.initializer))
    return model.SerializeToString() if is_split else path.read_bytes()


def _embeddings(sources: GallerySources) -> Embeddings | None:
    path = sources.embeddings_path
    if path is None:
        return None
    found = read_embeddings(path, ids_path=sources.ids_path)
    if found.item_names is None:
        raise BadArgument(
            f"{path} must name its items: --ids beside a .npy file, `item_names` in the metadata "
            "of a safetensors file"
        )
    check_directions(found.rows, found.item_names, str(path))
    return found


def _check_length(
    embeddings: Embeddings | None, embedding_dim: object, sources: GallerySources
) -> None:
    if embeddings is not None and embeddings.rows.shape[1] != embedding_dim:
        raise BadGallery(
            f"{sources.embeddings_path} must have the {embedding_dim} values that "
            f"{sources.onnx_path} gives, got {embeddings.rows.shape[1]}"
        )


def _check_classifier(path: Path, embedding_dim: object) -> None:
    directions = next(iter(read_classifier(path).values()))
    if len(directions) != embedding_dim:
        raise BadGallery(
            f"the directions of {path} must have the embeddings' length {embedding_dim}, "
            f"got {len(directions)}"
        )
