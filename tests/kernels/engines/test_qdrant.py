"""A gallery in a collection of Qdrant: of the client's own local mode, and of a server if named.

CMPC_TEST_QDRANT_URL names a server whose collection `cmpc_test` may be lost.
"""

import os

import numpy as np
import pytest

from cmpc_kernels import BadArgument, EngineFault, GalleryIndex, qdrant_contract, to_qdrant

qdrant_client = pytest.importorskip("qdrant_client", reason="needs the extra `qdrant`")
COLLECTION = "cmpc_test"


@pytest.fixture(params=["local", "server"])
def client(request):
    url = os.environ.get("CMPC_TEST_QDRANT_URL")
    if request.param == "server" and url is None:
        pytest.skip("needs a server of Qdrant, named by CMPC_TEST_QDRANT_URL")
    opened = qdrant_client.QdrantClient(":memory:" if request.param == "local" else url)
    opened.delete_collection(COLLECTION)
    yield opened
    opened.close()


def test_a_collection_answers_as_the_index_and_tells_its_contract(client, shop, rng):
    to_qdrant(shop, client, COLLECTION)

    query = rng.standard_normal(6).astype(np.float32)
    points = client.query_points(COLLECTION, query=query.tolist(), limit=4).points
    found = shop.search(query[np.newaxis] / np.linalg.norm(query), 4)
    assert [point.id for point in points] == found.ids[0].tolist()
    np.testing.assert_allclose([point.score for point in points], found.scores[0], atol=1e-5)
    assert points[0].payload == {"name": f"näme/{points[0].id}", "label": points[0].id % 5}
    assert qdrant_contract(client, COLLECTION) == shop.query_contract()


def test_it_is_brought_up_to_date_by_ids_and_by_the_same_gallery_alone(client, shop):
    to_qdrant(shop, client, COLLECTION)
    shop.remove([0, 31])
    to_qdrant(shop, client, COLLECTION)

    points, _ = client.scroll(COLLECTION, limit=100)
    assert sorted(point.id for point in points) == shop.ids.tolist()
    with pytest.raises(BadArgument, match="choose another name"):
        to_qdrant(GalleryIndex.build(np.eye(6, dtype=np.float32)), client, COLLECTION)
    assert client.count(COLLECTION).count == 28


def test_a_collection_of_somebody_else_is_left_alone(client, shop):
    client.create_collection(
        COLLECTION, vectors_config=qdrant_client.models.VectorParams(size=6, distance="Dot")
    )

    with pytest.raises(BadArgument, match="must say what its queries must be"):
        to_qdrant(shop, client, COLLECTION)

    assert client.count(COLLECTION).count == 0


@pytest.mark.parametrize(("metric", "power"), [("ip", 1), ("l2", 2)])
def test_scores_are_those_that_the_page_tells(client, rng, metric, power):
    index = GalleryIndex.build(rng.standard_normal((20, 6), dtype=np.float32), metric)
    to_qdrant(index, client, COLLECTION)

    query = rng.standard_normal(6).astype(np.float32)
    points = client.query_points(COLLECTION, query=query.tolist(), limit=3).points

    found = index.search(query[np.newaxis], 3)
    assert [point.id for point in points] == found.ids[0].tolist()
    np.testing.assert_allclose([p.score**power for p in points], found.scores[0], rtol=1e-4)


def test_a_server_that_is_not_there_is_told_in_a_line(shop):
    client = qdrant_client.QdrantClient("http://127.0.0.1:9", check_compatibility=False)

    with pytest.raises(EngineFault, match="must be there"):
        to_qdrant(shop, client, COLLECTION)
