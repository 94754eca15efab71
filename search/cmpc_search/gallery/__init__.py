"""The gallery side: a folder with the large network, its classifier and its embeddings.

folder.py       the folder and its record; what a search asks of it
network.py      networks trained by cmpc or brought as ONNX, run on images
classifier.py   directions of classes, by name
classes.py      which classes the network was trained on, and which were kept from it
embedding.py    embeddings of whole data sets, kept in the folder
importing.py    making a gallery from what a user already has
"""

from cmpc_search.gallery.classifier import read_classifier
from cmpc_search.gallery.embedding import embed_gallery
from cmpc_search.gallery.folder import (
    Gallery,
    checkpoint_of,
    existing_gallery,
    open_gallery,
    save_gallery_network,
)
from cmpc_search.gallery.importing import GallerySources, import_gallery

__all__ = [
    "Gallery",
    "GallerySources",
    "checkpoint_of",
    "embed_gallery",
    "existing_gallery",
    "import_gallery",
    "open_gallery",
    "read_classifier",
    "save_gallery_network",
]
