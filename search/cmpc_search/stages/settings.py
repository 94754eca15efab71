"""What a user may set: a model for each table of the settings file, whose fields are its keys."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from cmpc_base.registry import Registry
from cmpc_base.units import MMAC
from cmpc_cost_models.targets.table import aliases
from cmpc_search.data.sources.catalogue import CATALOGUE
from cmpc_search.errors import BadArgument
from cmpc_search.networks.gallery.base import GalleryShape
from cmpc_search.networks.gallery.catalogue import GALLERY_NETWORKS
from cmpc_search.networks.gallery.residual import ResidualShape
from cmpc_search.space.base import Space
from cmpc_search.space.plan import Plan
from cmpc_search.space.presets.catalogue import load_space
from cmpc_search.study.rewards.base import Metric
from cmpc_search.study.rewards.catalogue import ACCURACY_REWARDS, REWARDS
from cmpc_search.study.samplers.catalogue import SAMPLERS
from cmpc_search.study.settings import Budget, StudySettings
from cmpc_search.training.augmentation.choosing import DEFAULT_AUGMENTATION, AnyAugmentation
from cmpc_search.training.augmentation.drawing import Drawing
from cmpc_search.training.augmentation.photo import Photo
from cmpc_search.training.settings import (
    FinalistTraining,
    GalleryTraining,
    PickTraining,
    SupernetTraining,
)

__all__ = [
    "FREE_SETTINGS",
    "GREATEST_SEED",
    "GalleryNetworkWay",
    "GallerySettings",
    "PipelineSearchSettings",
    "PipelineSettings",
    "SearchSettings",
    "TrainSettings",
    "absolute_data",
    "as_of_today",
]

FREE_SETTINGS = ("trials", "finalists", "data", "gallery_path", "view_memory_mb")
"""What may change when a run is resumed; data and gallery are known by their hashes, not places."""

IN_OTHER_STYLES = Drawing(style_share=0.3)
"""How images differ where a gallery network is trained: it is large enough to learn from that."""

MOST_BLOCKS = 100  # of a stage; the deepest network of the paper has 23
GREATEST_SEED = 2**32 - 1  # what each library that draws takes


def absolute_data(data: str) -> str:
    """Return a path such that it is found from any folder, and the name of a data set as it is."""
    is_path = data not in CATALOGUE and os.path.exists(data)
    return os.path.abspath(data) if is_path else data


def _own_name(target: str) -> str:
    """Return a target's own name where another one of it is given, such as that of a board."""
    return aliases().get(target, target)


def _one_of(parts: Registry[Any]) -> AfterValidator:
    """Refuse a name that is none of these parts'."""

    def check(name: str) -> str:
        parts.check(name)
        return name

    return AfterValidator(check)


RewardName = Annotated[str, _one_of(REWARDS)]
SamplerName = Annotated[str, _one_of(SAMPLERS)]
DataName = Annotated[str, AfterValidator(absolute_data)]
TargetName = Annotated[str, AfterValidator(_own_name)]
GalleryNetworkWay = Literal["shipped", "train"]


def _suited_to_photographs(given: Any) -> Any:
    """Vary photographs as such, where nobody said how images differ in training."""
    if not isinstance(given, dict) or "augmentation" in given:
        return given
    entry = CATALOGUE.get(str(given.get("data")))
    return given | {"augmentation": Photo()} if entry and entry.shows_photographs else given


class GallerySettings(BaseModel):
    """Which gallery network is trained, on what, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: DataName = Field("emoji", description="Data set: a name, a folder or a CSV file.")
    network: str = Field("residual-small", description="Preset of the network.")
    depths: str | None = Field(None, description="Blocks of each stage, such as 2,2,2.")
    width: int | None = Field(None, ge=1, le=4096, description="Channels of the first stage.")
    input_size_px: int | None = Field(None, ge=8, le=4096, description="Size of the images.")
    embedding_dim: int = Field(128, ge=1, le=4096, description="Length of the embedding.")
    seed: int = Field(0, ge=0, le=GREATEST_SEED)
    split_seed: int = Field(
        0,
        ge=0,
        le=GREATEST_SEED,
        description="Decides which classes validate, and which images ask.",
    )
    further_data: tuple[DataName, ...] = Field(
        (), description="Data sets whose pictures of training classes are trained on, too."
    )
    student: str | None = Field(
        None,
        description="Small network that learns along, so that the gallery network stays where "
        "small ones can follow: space and architecture, such as small:KEY.",
    )
    training: GalleryTraining = GalleryTraining()
    augmentation: AnyAugmentation = IN_OTHER_STYLES

    _suit = model_validator(mode="before")(_suited_to_photographs)

    @field_validator("augmentation", mode="before")
    @classmethod
    def _add_to_default(cls, given: object) -> object:
        """Let settings of drawings stand beside those that nobody set."""
        if not isinstance(given, dict) or given.get("kind", "drawing") != "drawing":
            return given
        return IN_OTHER_STYLES.model_dump() | given

    @model_validator(mode="after")
    def _check_further_data(self) -> "GallerySettings":
        named = (self.data, *self.further_data)
        if repeated := sorted({one for one in named if named.count(one) > 1}):
            raise ValueError(
                "data and further_data must name each data set once, got "
                f"{' and '.join(repeated)} again"
            )
        return self

    @field_validator("depths")
    @classmethod
    def _check_depths(cls, depths: str | None) -> str | None:
        words = [] if depths is None else [word.strip() for word in depths.split(",")]
        if not all(word.isdecimal() and 1 <= int(word) <= MOST_BLOCKS for word in words):
            raise ValueError(
                f"depths must be whole numbers from 1 to {MOST_BLOCKS} between commas, such as "
                "2,2,2"
            )
        return depths

    @property
    def shape(self) -> GalleryShape:
        """The preset with what was given in its place.

        Raises:
            BadArgument: depths or a width are given for a network that is not residual.
        """
        preset = GALLERY_NETWORKS.load(self.network)
        size_px = self.input_size_px or preset.input_size_px
        sized = replace(preset, input_size_px=size_px, embedding_dim=self.embedding_dim)
        if self.depths is None and self.width is None:
            return sized
        if not isinstance(sized, ResidualShape):
            raise BadArgument(
                f"depths and width must be those of a residual network, got them for {self.network}"
            )
        depths = () if self.depths is None else tuple(map(int, self.depths.split(",")))
        return replace(sized, depths=depths or sized.depths, width=self.width or sized.width)

    @property
    def student_plan(self) -> Plan | None:
        """The student, if there is one: it reads what the gallery network reads.

        Raises:
            BadArgument: no architecture of its space is called so.
            UnknownName: there is no such space.
        """
        if self.student is None:
            return None
        name, _, key = self.student.partition(":")
        size_px = self.shape.input_size_px
        space = load_space(name, embedding_dim=self.embedding_dim, input_size_px=size_px)
        return space.plan(space.read(key))


class SearchSettings(BaseModel):
    """Everything that decides the result of a search."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: DataName = Field("emoji", description="Data set: a name, a folder or a CSV file.")
    space: str = Field("small", description="Search space.")
    input_size_px: int | None = Field(
        None,
        ge=8,
        le=4096,
        description="Largest size of the query network's images; else the space's.",
    )
    target: TargetName = Field("host", description="What networks are compiled for.")
    device: str | None = Field(None, description="Where they are timed; else here or nowhere.")
    method: str = Field(
        "bct+regression", description="Compatibility method, or several with + between them."
    )
    method_settings: dict[str, dict[str, int | float | str]] = Field(
        {}, description="Settings of the method's parts, such as csd.temperature = 0.05."
    )
    # Of three supernets it ordered 16 architectures each as their own trainings do with a Kendall's
    # tau of 0.62, 0.67 and 0.52; the product of both mAPs with 0.60, 0.72 and 0.35.
    reward: RewardName = Field("mrr+cosine", description="What is maximised.")
    metric: Metric = Field("map", description="Accuracy that the reward is of.")
    views_per_query: int = Field(
        4, ge=1, le=64, description="Views of each validation query, itself and mild warps."
    )
    cost: Literal["latency", "macs"] = Field("latency", description="What is minimised.")
    sampler: SamplerName = Field("nsga2", description="Optuna sampler.")
    trials: int = Field(48, ge=1, description="Candidates to score in all.")
    population: int = Field(16, ge=2, description="Population; the first is spread over MACs.")
    budget_ms: float | None = Field(None, gt=0, le=1e12, description="Latency limit, ms.")
    budget_mmacs: float | None = Field(None, gt=0, le=1e12, description="Limit of million MACs.")
    seed: int = Field(0, ge=0, le=GREATEST_SEED)
    views_per_image: int = Field(12, ge=1, description="Views of each training image.")
    mixed_share: float = Field(0.4, ge=0, le=1, description="Share of views of two images.")
    finalists: int = Field(
        5, ge=0, description="Candidates that are trained on their own before the pick; 0: none."
    )
    mixed_patches: int = Field(
        1, ge=1, le=16, description="Most parts of another image that are pasted into one."
    )
    blended_share: float = Field(
        0.0, ge=0, le=1, description="Share of views of two images that are blended instead."
    )
    view_memory_mb: int = Field(2000, ge=0, description="Most memory for views that were made.")
    augmentation: AnyAugmentation = DEFAULT_AUGMENTATION
    supernet: SupernetTraining = SupernetTraining()
    finalist: FinalistTraining = FinalistTraining()

    _suit = model_validator(mode="before")(_suited_to_photographs)

    @field_validator("method_settings", mode="before")
    @classmethod
    def _check_method_settings(cls, given: object) -> object:
        for name, value in given.items() if isinstance(given, dict) else ():
            if not isinstance(value, dict):
                raise ValueError(
                    "settings of methods must be written with the part of the method first and no "
                    f"quotes, such as csd.temperature = 0.05, got {name!r} = {value!r}"
                )
        return given

    def search_space(self, embedding_dim: int | None = None) -> Space:
        """Return the space with the size that is set, and an embedding length if one is given."""
        size_px = self.input_size_px
        return load_space(self.space, embedding_dim=embedding_dim, input_size_px=size_px)

    @property
    def reward_name(self) -> str:
        """The reward as tables show it: with the metric that it is of, if it is of one."""
        return f"{self.reward} {self.metric}" if self.reward in ACCURACY_REWARDS else self.reward

    @property
    def needs_latency(self) -> bool:
        """Whether networks are compiled and timed, or their time predicted."""
        return self.cost == "latency" or self.budget_ms is not None

    @property
    def budget(self) -> Budget:
        macs = None if self.budget_mmacs is None else round(self.budget_mmacs * MMAC)
        return Budget(latency_ms=self.budget_ms, macs=macs)

    @property
    def study(self) -> StudySettings:
        return StudySettings(
            num_trials=self.trials,
            sampler=self.sampler,
            population=self.population,
            seed=self.seed,
            cost=self.cost,
            budget=self.budget,
        )


def as_of_today(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the stored settings of a search as this version writes the same."""
    try:
        return SearchSettings.model_validate(stored).model_dump(mode="json")
    except ValidationError:
        return stored  # of another version: compared as they are


class TrainSettings(BaseModel):
    """How picks, and the control beside them, are trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pick: PickTraining = PickTraining()
    control_steps: int = Field(300, ge=0, description="Steps of the independent control; 0: none.")


class PipelineSearchSettings(SearchSettings):
    """A search within a budget, where nobody sets another: one that small devices can afford."""

    budget_mmacs: float | None = Field(5.2, gt=0, le=1e12, description="Limit of million MACs.")


class PipelineSettings(BaseModel):
    """What a pipeline decides beside the settings of its stages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gallery_network: GalleryNetworkWay | None = Field(
        None,
        description="Take the gallery network that comes with cmpc, or train one; else that of "
        "the gallery, and where there is none the one that comes, if one does.",
    )
    sampled_queries: int = Field(8, ge=1, le=100, description="Test queries to draw answers of.")
    judged_queries: int = Field(2000, ge=1, description="Most test queries to count answers of.")
