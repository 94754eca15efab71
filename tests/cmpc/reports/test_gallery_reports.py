"""What is told of a gallery."""

from types import SimpleNamespace

import pytest

from cmpc.reports.galleries import gallery_report


@pytest.mark.parametrize(
    ("training", "told"),
    [
        (None, None),
        ({"num_steps": 7}, None),
        ({"further_data": ["emoji9", "/data/more"]}, "emoji9, /data/more"),
    ],
)
def test_further_data_are_named_where_the_network_learnt_from_any(training, told):
    record = SimpleNamespace(
        parameters=12, reading=None, training=training, model_fields_set=frozenset()
    )
    gallery = SimpleNamespace(
        path="galleries/a",
        data="emoji",
        macs=34,
        embedding_dim=5,
        network_sha256="ab",
        crop_share=None,
        record=record,
    )

    document = gallery_report(gallery).document

    assert document.get("further_data") == told
    assert (document["macs"], document["parameters"], document["embedding_dim"]) == (34, 12, 5)
