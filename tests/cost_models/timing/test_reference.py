"""The network that is timed in turn with every other."""

from cmpc_base.cache import Cache
from cmpc_cost_models.timing import reference
from cmpc_cost_models.timing.reference import reference_network


def test_a_reference_network_of_another_definition_has_another_name(tmp_path, monkeypatch):
    cache = Cache(tmp_path)
    first, again = reference_network(cache), reference_network(cache)
    monkeypatch.setattr(reference, "CHANNELS", 8)

    other = reference_network(cache)

    assert first == again
    assert other != first
    assert {path.name for path in cache.reference.iterdir()} == {first.name, other.name}


def test_a_damaged_reference_network_is_written_again(tmp_path):
    path = reference_network(Cache(tmp_path))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])

    assert reference_network(Cache(tmp_path)).read_bytes() == whole
