"""The hashes by which files and documents are known stay what they were."""

from cmpc_base.hashing import document_hash, file_hash

# Of the two bytes {} and of the standard's own example, "abc".
OF_EMPTY_OBJECT = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_is_known_by_its_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")

    assert file_hash(tmp_path / "file") == OF_ABC
    assert file_hash(tmp_path / "file", "sha512").startswith("ddaf35a193617aba")


def test_a_document_is_known_by_what_it_says_and_not_by_the_order_of_its_keys():
    assert document_hash({}) == OF_EMPTY_OBJECT
    assert document_hash({"a": 1, "b": [2]}) == document_hash({"b": [2], "a": 1})
    assert document_hash({"a": 1}) != document_hash({"a": 1.5})
