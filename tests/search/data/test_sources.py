"""Each source keeps the promise of its family, and a path is taken by the source that it is of."""

import pytest

from cmpc_base.errors import UnknownName
from cmpc_search.data.fetching import Fetcher
from cmpc_search.data.sources.catalogue import CATALOGUE, find_source
from cmpc_search.data.sources.csv_file import CsvSource
from cmpc_search.data.sources.emoji import EmojiSource
from cmpc_search.data.sources.folder import FolderSource
from cmpc_search.testing.sources import SourceContract


@pytest.fixture
def csv_path(photos):
    rows = [f"{path.relative_to(photos)},{path.parent.name}" for path in photos.rglob("*.png")]
    path = photos / "listed.csv"
    path.write_text("\n".join(["path,label", *rows]))
    return path


class TestFolder(SourceContract):
    @pytest.fixture
    def make_source(self, photos):
        return lambda: FolderSource(photos)


class TestCsvFile(SourceContract):
    @pytest.fixture
    def make_source(self, csv_path):
        return lambda: CsvSource(csv_path)


class TestEmoji(SourceContract):
    @pytest.fixture
    def make_source(self, tmp_path):
        return lambda: EmojiSource(Fetcher(tmp_path))


def test_a_path_is_taken_by_the_source_that_it_is_of(photos, csv_path, tmp_path):
    fetcher = Fetcher(tmp_path)

    assert isinstance(find_source(photos, fetcher), FolderSource)
    assert isinstance(find_source(str(csv_path), fetcher), CsvSource)
    with pytest.raises(UnknownName, match="no data set, folder or CSV file is called"):
        find_source(str(photos / "nothing.csv"), fetcher)


def test_a_name_of_the_catalogue_is_no_folder_unless_it_is_given_as_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "emoji").mkdir()

    assert "emoji" in CATALOGUE
    assert isinstance(find_source("emoji", Fetcher(tmp_path)), EmojiSource)
    assert isinstance(find_source("./emoji", Fetcher(tmp_path)), FolderSource)
