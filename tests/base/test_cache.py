"""What is kept under the hash of its content."""

from cmpc_base.cache import keep_by_content, whole_file


def write_word(draft):
    draft.write_bytes(b"word")


def test_an_altered_file_is_found_out_and_written_again(tmp_path):
    kept = keep_by_content(tmp_path / "entry", ".o", write_word)
    assert whole_file(tmp_path / "entry", ".o") == kept
    kept.write_bytes(b"another")

    assert whole_file(tmp_path / "entry", ".o") is None
    assert keep_by_content(tmp_path / "entry", ".o", write_word) == kept
    assert kept.read_bytes() == b"word"


def test_a_whole_file_is_not_written_again(tmp_path):
    kept = keep_by_content(tmp_path, ".o", write_word)
    inode = kept.stat().st_ino

    assert keep_by_content(tmp_path, ".o", write_word).stat().st_ino == inode


def test_in_a_folder_that_is_not_there_nothing_is_whole(tmp_path):
    assert whole_file(tmp_path / "missing", ".o") is None
