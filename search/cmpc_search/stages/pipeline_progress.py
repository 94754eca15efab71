"""How far is the whole pipeline? An observer in front of the user's, which knows the stages.

    front door --progress("Training the supernet")--> PipelineObserver --> the user's observer
                    "stage 5 of 12: Training the supernet", "about 11 min of the whole left"

The time left of the whole is a guess: the pace of what runs, and for what is to come a first guess
in seconds, times how much slower this machine was than that in all stages whose pace was seen.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from cmpc_base.progress import Observer, Progress
from cmpc_search.stages.pipeline_times import Stage

__all__ = ["PipelineObserver"]

ENOUGH_SECONDS = 2.0  # of a part, before its pace is believed
PREPARING = "Preparing "
"""How the parts begin that read pictures: they say nothing of the pace of what follows."""
TELLING = {Stage.GALLERY, Stage.SUPERNET, Stage.SEARCH}
"""Stages of one kind of work, whose pace tells how fast the machine is."""
MANY_PARTS = {Stage.FINALISTS, Stage.TRAINING}
"""Stages of several trainings: what is left of one is not what is left of the stage."""


class PipelineObserver:
    """Tells an observer the stage and the whole beside what the stage's own work tells.

    Args:
        likely_seconds: A first guess of what each stage takes; 0 for one that is finished.
        parts: The stage that begins with a progress whose description begins so.
    """

    def __init__(
        self,
        observer: Observer,
        likely_seconds: Mapping[Stage, float],
        parts: Mapping[str, Stage],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds: dict[Stage, float] = {}
        self.finished: tuple[Stage, ...] = ()
        self.stage: Stage | None = None
        self._observer, self._likely, self._parts = observer, likely_seconds, parts
        self._clock, self._begun_at = clock, clock()
        self._pace: dict[Stage, float] = {}  # seconds of the whole stage, as its pace says

    def begin(self, stage: Stage) -> None:
        """Say that a stage begins, and so that the one before it ended."""
        self.end()
        self.stage, self._begun_at = stage, self._clock()
        self.seconds.setdefault(stage, 0.0)
        whole = self._whole(self.seconds_left())
        self._observer.notice(", ".join(filter(None, (f"{stage.place}: {stage}", whole))))

    def end(self) -> None:
        """Say that the stage at work, if one is, and all before it are finished."""
        if self.stage is not None:
            self._count(self.stage)
            self.finished = tuple(one for one in Stage if one.number <= self.stage.number)
        self.stage = None

    def stop(self) -> None:
        """Say that the stage at work is not finished."""
        if self.stage is not None:
            self._count(self.stage)
            self._observer.notice(
                f"{self.stage.place}, {self.stage}, was not finished; "
                "the same command goes on from there"
            )

    @contextmanager
    def progress(self, description: str) -> Iterator[Progress]:
        """Show how far a part of the stage is."""
        for start, stage in self._parts.items():
            if description.startswith(start) and stage is not self.stage:
                self.begin(stage)
        assert self.stage is not None, "what tells progress is at work in a stage"
        pace = _Pace(self._clock, is_main=not description.startswith(PREPARING))
        with self._observer.progress(f"{self.stage.place}: {description}") as shown:

            def reach(num_done: int, total: int, note: str = "") -> None:
                whole = self._whole(self.seconds_left(self._left_of_part(pace, num_done, total)))
                shown(num_done, total, ", ".join(filter(None, (whole, note))))

            yield reach

    def notice(self, message: str) -> None:
        """Tell a sentence at once."""
        self._observer.notice(message)

    def seconds_left(self, of_part: float | None = None) -> float:
        """Return about how long the whole still takes.

        ``of_part`` is what is left of the part that is at work, if that is known.
        """
        assert self.stage is not None, "who asks is at work in a stage"
        stages = list(Stage)
        later = stages[stages.index(self.stage) + 1 :]
        slowness = self._slowness()
        spent = self._clock() - self._begun_at
        of_stage = max(0.0, slowness * self._likely[self.stage] - spent)
        if of_part is not None:
            of_stage = max(of_part, of_stage) if self.stage in MANY_PARTS else of_part
        return of_stage + slowness * sum(self._likely[stage] for stage in later)

    def _count(self, stage: Stage) -> None:
        self.seconds[stage] += self._clock() - self._begun_at

    def _left_of_part(self, pace: "_Pace", num_done: int, total: int) -> float | None:
        """Return the seconds that a part still takes, and note what they say of its stage."""
        assert self.stage is not None, "what tells progress is at work in a stage"
        in_all = pace.seconds_in_all(num_done, total)
        if in_all is None or not pace.is_main:
            return None
        if self.stage in TELLING:
            self._pace[self.stage] = in_all
        return in_all * (1 - num_done / total)

    def _slowness(self) -> float:
        """Return how many times as long as likely the stages take whose pace was seen."""
        known = {stage: s for stage, s in self._pace.items() if self._likely[stage] > 0}
        likely = sum(self._likely[stage] for stage in known)
        return sum(known.values()) / likely if likely else 1.0

    def _whole(self, left: float) -> str:
        """Say about how much is left, as coarsely as it is known; nothing at the end."""
        if left < 1:
            return ""
        told = f"{round(left / 60)} min" if left >= 90 else f"{max(1, round(left / 10)) * 10} s"
        return f"about {told} of the whole left"


class _Pace:
    """How long a part takes in all, by what was done of it since its first report."""

    def __init__(self, clock: Callable[[], float], *, is_main: bool) -> None:
        self.clock, self.is_main = clock, is_main
        self.first: tuple[int, int, float] | None = None  # steps done, of how many, and when

    def seconds_in_all(self, num_done: int, total: int) -> float | None:
        """Return it; None as long as nothing can be said."""
        now = self.clock()
        if self.first is None or total != self.first[1]:
            self.first = (num_done, total, now)
        num_before, _, since = self.first
        if num_done <= num_before or now - since < ENOUGH_SECONDS:
            return None
        return (now - since) / (num_done - num_before) * total
