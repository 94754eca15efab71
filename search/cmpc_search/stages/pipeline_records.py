"""What the whole job is ordered with, and what its stages leave."""

from dataclasses import dataclass, field
from pathlib import Path

from cmpc_base.hashing import document_hash
from cmpc_cost_models import Target
from cmpc_cost_models.bundles.opening import Bundle
from cmpc_search.data import ImageSet
from cmpc_search.data.passed_over import PassedOver
from cmpc_search.gallery import RECORD_FILE, Gallery
from cmpc_search.gallery.shipped.packing import shipped_names
from cmpc_search.runs import RunFolder
from cmpc_search.runs.evaluation import Evaluation
from cmpc_search.stages.answers import Answer
from cmpc_search.stages.gallery_making import EmbeddedGallery
from cmpc_search.stages.indexing import BuiltIndex
from cmpc_search.stages.picking import PickResult
from cmpc_search.stages.pipeline_times import Stage, StageTimes
from cmpc_search.stages.querying import QueryOrder
from cmpc_search.stages.searching import SearchResult
from cmpc_search.stages.settings import (
    GallerySettings,
    PipelineSettings,
    SearchSettings,
    TrainSettings,
)
from cmpc_search.stages.training import TrainResult

__all__ = [
    "AnyResult",
    "AskedGallery",
    "PipelineOrder",
    "PipelineResult",
    "PreparedData",
    "SearchedFront",
    "StageResult",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineOrder:
    """What the whole job works on, and where it leaves what.

    Attributes:
        gallery: How the gallery network is trained, if one is, and on which data.
        search: Where it names no data, those of the gallery are meant.
        target: What is compiled for; None is the target of that name in the settings.
    """

    run_folder: Path
    gallery_folder: Path
    bundle_folder: Path
    cache_dir: Path
    gallery: GallerySettings
    search: SearchSettings
    train: TrainSettings
    choices: PipelineSettings = field(default_factory=PipelineSettings)
    target: Target | None = None

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.run_folder)

    @property
    def data(self) -> str:
        """The data set that is embedded, searched on, indexed and asked."""
        is_named = "data" in self.search.model_fields_set
        return self.search.data if is_named else self.gallery.data

    @property
    def search_settings(self) -> SearchSettings:
        """The settings of the search, which name the data."""
        return SearchSettings.model_validate(self.search.model_dump() | {"data": self.data})

    @property
    def gallery_network(self) -> str | None:
        """Where the gallery network comes from: shipped, train, or None if it is there."""
        if self.choices.gallery_network is not None:
            return self.choices.gallery_network
        if (self.gallery_folder / RECORD_FILE).exists():
            return None
        return "shipped" if self.gallery.data in shipped_names() else "train"

    @property
    def settings_sha256(self) -> str:
        """Hash of all that decides which work is done."""
        settings = (self.gallery, self.search, self.train, self.choices)
        documents = [one.model_dump(mode="json") for one in settings]
        return document_hash([self.data, *documents])


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedData:
    """The images at the size that query networks read, what is no picture of theirs, and how long
    it took to have them.
    """

    image_set: ImageSet
    passed_over: tuple[PassedOver, ...]
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchedFront:
    """What the search found, and which candidate is the pick."""

    search: SearchResult
    picked: PickResult


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedGallery:
    """Some test queries with what they found, and how all of them fare.

    Attributes:
        answers: Of the queries that were drawn.
        num_right: How many of ``num_asked`` test queries find an item of their class first, among
            the ``num_items`` of the index: those of training classes too.
    """

    order: QueryOrder
    answers: list[Answer]
    num_right: int
    num_asked: int
    num_items: int


AnyResult = (
    PreparedData
    | Gallery
    | EmbeddedGallery
    | SearchedFront
    | TrainResult
    | Evaluation
    | Bundle
    | BuiltIndex
    | AskedGallery
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StageResult:
    """What a stage left; the search with those that it goes through by itself."""

    stage: Stage
    result: AnyResult


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineResult:
    """What all stages left, and what they took."""

    run: RunFolder
    results: tuple[StageResult, ...]
    times: StageTimes
