"""How far along is it? A bar with the time left on a terminal, a plain line now and then elsewhere.

    with progress("Measuring", total=24) as steps:
        for candidate in candidates:
            ...
            steps.advance(note="3.2 ms")

All of it goes to stderr, so that stdout stays pure data. A log file must not fill up with bars:
there, one line every few seconds says the same.
"""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cmpc.output import say
from cmpc_base.printable import screen_text

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["LineSteps", "Steps", "TerminalObserver", "progress"]

SECONDS_BETWEEN_LINES = 5.0
BAR_WIDTH = 20  # of a terminal's 80 columns: what is worth knowing stands behind it


class Steps(ABC):
    """What a loop tells about how far it is."""

    def __init__(self, total: int | None) -> None:
        self.total = total
        self.num_done = 0

    def advance(self, count: int = 1, *, note: str = "") -> None:
        """Say that ``count`` more steps are done, and with ``note`` what is worth knowing."""
        self.reach(self.num_done + count, note=note)

    def reach(self, num_done: int, *, total: int | None = None, note: str = "") -> None:
        """Say how many steps are done by now, and how many there are if that became known."""
        self.num_done = num_done
        self.total = total if total is not None else self.total
        self.show(screen_text(note))

    def __call__(self, num_done: int, total: int, note: str = "") -> None:
        """Serve as the callback that long work in the lower packages takes."""
        self.reach(num_done, total=total, note=note)

    def say(self, message: str) -> None:
        """Tell at once what can't wait for the next step."""
        say(message)

    @abstractmethod
    def show(self, note: str) -> None:
        """Let the user see where it stands."""

    @abstractmethod
    def close(self) -> None:
        """Take leave, however the work ended."""


class BarSteps(Steps):
    """A bar that rich draws on a terminal, from the first step on."""

    def __init__(self, description: str, total: int | None) -> None:
        super().__init__(total)
        self.bar = terminal_bar()
        self.task = self.bar.add_task(description, total=total, note="")

    def show(self, note: str) -> None:
        """Move the bar."""
        self.bar.start()
        self.bar.update(self.task, completed=self.num_done, total=self.total, note=note)

    def say(self, message: str) -> None:
        """Write above the bar."""
        self.bar.console.print(screen_text(message), markup=False, highlight=False)

    def close(self) -> None:
        """Leave the bar as it is and give the terminal back."""
        self.bar.stop()


class LineSteps(Steps):
    """A line on stderr, never more often than every few seconds.

    The pace is that of what is done from the first report on: work that is resumed begins with many
    steps done by another process, in a time that nobody here knows.
    """

    def __init__(
        self,
        description: str,
        total: int | None,
        clock: Callable[[], float] = time.monotonic,
        *,
        pause_s: float = SECONDS_BETWEEN_LINES,
    ) -> None:
        super().__init__(total)
        self.description, self.clock, self.pause_s = description, clock, pause_s
        self.started_at = self.last_line_at = clock()
        self.first_report: tuple[int, float] | None = None  # steps done, and when

    def show(self, note: str) -> None:
        """Write a line if the last one is long enough ago."""
        now = self.clock()
        if self.first_report is None or self.num_done < self.first_report[0]:
            self.first_report = (self.num_done, now)  # or another part of the work begins
        if now - self.last_line_at >= self.pause_s:
            self.last_line_at = now
            say(self.line(now, note))

    def line(self, now: float, note: str) -> str:
        """Write where it stands in one line."""
        parts = [f"{self.description}: {self.num_done}"]
        if self.total:
            parts = [f"{parts[0]}/{self.total}", f"{self.num_done / self.total:.0%}"]
            if (left_s := self.time_left(now)) is not None:
                parts.append(f"{clock_time(left_s)} left")
        return ", ".join([*parts, note] if note else parts)

    def time_left(self, now: float) -> float | None:
        """Return how long the rest will take, in seconds; None without a pace, and at the end."""
        if self.first_report is None or self.total is None or self.num_done >= self.total:
            return None
        num_before, since = self.first_report
        if self.num_done == num_before:
            return None
        return (now - since) / (self.num_done - num_before) * (self.total - self.num_done)

    def close(self) -> None:
        """Write the closing line, unless there was nothing to do."""
        if self.num_done == 0:
            return
        took = clock_time(self.clock() - self.started_at)
        if self.total is not None and self.num_done < self.total:
            say(f"{self.description}: stopped at {self.num_done} of {self.total} after {took}")
        else:
            say(f"{self.description}: {self.num_done} done; this took {took}")


def clock_time(seconds: float) -> str:
    """Write a duration as people read clocks: 0:07, 12:30, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def progress(
    description: str, *, total: int | None = None, pause_s: float = SECONDS_BETWEEN_LINES
) -> Iterator[Steps]:
    """Show how far the body is, on stderr, in the way that suits what stderr is.

    Nothing is shown before the first step, so work that turns out to be done already is silent.
    ``pause_s`` is the least time between two lines, where there is no terminal for a bar.
    """
    steps: Steps
    if sys.stderr.isatty():
        steps = BarSteps(screen_text(description), total)
    else:
        steps = LineSteps(screen_text(description), total, pause_s=pause_s)
    try:
        yield steps
    finally:
        steps.close()


class TerminalObserver:
    """What the stages of `cmpc_search` tell, shown to the user of a command.

    Args:
        pause_s: As in `progress`; longer work needs fewer lines.
    """

    def __init__(self, pause_s: float = SECONDS_BETWEEN_LINES) -> None:
        self._shown: Steps | None = None
        self._pause_s = pause_s

    @contextmanager
    def progress(self, description: str) -> Iterator[Steps]:
        """Show how far the block is."""
        above = self._shown
        with progress(description, pause_s=self._pause_s) as steps:
            self._shown = steps
            try:
                yield steps
            finally:
                self._shown = above

    def notice(self, message: str) -> None:
        """Write a line, above the bar if one is shown."""
        (self._shown.say if self._shown else say)(message)


def terminal_bar() -> "Progress":
    """Return rich's bar with the columns that cmpc shows."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(BAR_WIDTH),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
    )
