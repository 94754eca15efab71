"""The gallery side: a folder with the large network, its classifier and its embeddings.

folder.py       the folder; what a search asks of it
record.py       what gallery.json says of it
networks/       large networks run on images: those that cmpc trained, and those brought as ONNX
classifier.py   directions of classes, by name
classes.py      which classes the network was trained on, and which were kept from it
embedding.py    embeddings of whole data sets, kept in the folder
item_views.py   mild views of an item, whose mean embedding is steadier
shipped/        networks that come with cmpc, ready trained
trained.py      keeping a network that cmpc trained
ensemble.py     several galleries averaged into one
importing.py    making a gallery from what a user already has
onnx_file.py    taking over a network of the user's own, with its weights
onnx_adapting.py its way of reading images, made part of it
proving.py      whether a network does what will be asked of it, tried on a few images
matching.py     whether embeddings cover a data set, and are those of a network
unfinished.py   a folder while a gallery is made in it
"""

from cmpc_search.gallery.classifier import read_classifier
from cmpc_search.gallery.embedding import embed_gallery, embedded_rows
from cmpc_search.gallery.ensemble import check_members, make_ensemble
from cmpc_search.gallery.folder import Gallery, open_gallery, remember_data, remember_views
from cmpc_search.gallery.importing import GallerySources, import_gallery
from cmpc_search.gallery.record import OnnxReading
from cmpc_search.gallery.trained import (
    FURTHER_HASHES,
    checkpoint_of,
    existing_gallery,
    save_gallery_network,
)
from cmpc_search.gallery.unfinished import RECORD_FILE, check_free, making

__all__ = [
    "FURTHER_HASHES",
    "RECORD_FILE",
    "Gallery",
    "GallerySources",
    "OnnxReading",
    "check_free",
    "check_members",
    "checkpoint_of",
    "embed_gallery",
    "embedded_rows",
    "existing_gallery",
    "import_gallery",
    "make_ensemble",
    "making",
    "open_gallery",
    "read_classifier",
    "remember_data",
    "remember_views",
    "save_gallery_network",
]
