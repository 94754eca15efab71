"""The stages of a pipeline: their names and order, what each may take, and what each took.

RUN/times.json keeps what they took, and which of them were finished for which settings, so that
who starts a pipeline again is not told of work that is done.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from pydantic import NonNegativeFloat

from cmpc_base.json_files import read_json, write_json
from cmpc_search.errors import BadRun
from cmpc_search.json_records import parsed_record
from cmpc_search.runs import RunFolder
from cmpc_search.stages.settings import GallerySettings, SearchSettings, TrainSettings

__all__ = ["Stage", "StageTimes", "likely_seconds", "read_times", "write_times"]

USUAL_MACS = 421e6  # of the gallery network that is the default


class Stage(StrEnum):
    """What a pipeline does, in this order."""

    DATA = "data"
    GALLERY = "gallery network"
    EMBEDDINGS = "gallery embeddings"
    VIEWS = "views"
    SUPERNET = "supernet"
    SEARCH = "search"
    FINALISTS = "finalists"
    TRAINING = "training of the pick"
    EVALUATION = "evaluation"
    BUNDLE = "bundle"
    INDEX = "index"
    QUERIES = "queries"

    @property
    def number(self) -> int:
        """Its place, from 1."""
        return list(Stage).index(self) + 1

    @property
    def place(self) -> str:
        """Its place among all, in words."""
        return f"stage {self.number} of {len(Stage)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class StageTimes:
    """What the stages of a pipeline took.

    Attributes:
        settings_sha256: Hash of the settings for which stages are finished.
        finished: Those that are.
        seconds: What each took when the pipeline ran last, by its name.
        seconds_in_all: What each took in all processes that ended by themselves.
    """

    settings_sha256: str
    finished: tuple[Stage, ...] = ()
    seconds: Mapping[Stage, NonNegativeFloat] = field(default_factory=dict)
    seconds_in_all: Mapping[Stage, NonNegativeFloat] = field(default_factory=dict)


def read_times(run: RunFolder) -> StageTimes | None:
    """Return what `write_times` kept; None where no pipeline got as far.

    Raises:
        BadRun: the file is damaged.
    """
    if not run.times_path.exists():
        return None
    document = read_json(run.times_path, error=BadRun, advice="remove it")
    return parsed_record(document, StageTimes, run.times_path, error=BadRun)


def write_times(run: RunFolder, times: StageTimes) -> None:
    """Keep what the stages took."""
    write_json(run.times_path, asdict(times))


def likely_seconds(
    gallery_macs: int,
    gallery: GallerySettings | None,
    search: SearchSettings,
    train: TrainSettings,
) -> dict[Stage, float]:
    """Return what each stage may take on two cores with AVX-512, as a first guess.

    How much slower this machine is, the pace of the stages will tell. ``gallery`` is None where no
    gallery network is trained. The guesses are those of the default settings on a data set of some
    thousand small images, times what is set.
    """
    macs, batch = gallery_macs / USUAL_MACS, search.supernet.batch_size / 128
    finalist_steps = search.finalists * search.finalist.num_steps
    pick_steps = train.pick.num_steps + train.control_steps
    trial_s, front_s, judged_s = (2.5, 12.0, 25.0) if search.needs_latency else (1.0, 0.0, 10.0)
    return {
        Stage.DATA: 5.0,
        Stage.GALLERY: 3.0 if gallery is None else _gallery_seconds(gallery) * macs,
        Stage.EMBEDDINGS: 14.0 * macs,
        Stage.VIEWS: 5.0 + 3.2 * macs * search.views_per_image,
        Stage.SUPERNET: 0.055 * batch * search.supernet.num_steps,
        Stage.SEARCH: trial_s * search.trials,
        Stage.FINALISTS: 0.115 * batch * finalist_steps + front_s,
        Stage.TRAINING: 0.08 * batch * pick_steps,
        Stage.EVALUATION: judged_s,
        Stage.BUNDLE: 3.0,
        Stage.INDEX: 1.0,
        Stage.QUERIES: 5.0,
    }


def _gallery_seconds(gallery: GallerySettings) -> float:
    training = gallery.training
    return 0.009 * training.num_steps * training.classes_per_batch
