"""The time left of a pipeline: a guess that the pace of this machine corrects."""

from contextlib import contextmanager

import pytest

from cmpc_search.stages.pipeline_progress import PipelineObserver
from cmpc_search.stages.pipeline_times import Stage

LIKELY = dict.fromkeys(Stage, 0.0) | {Stage.SUPERNET: 100.0, Stage.SEARCH: 200.0}
SUPERNET = "Training the supernet"


class FakeClock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


class Heard:
    def __init__(self):
        self.notices, self.reports = [], []

    @contextmanager
    def progress(self, description):
        yield lambda num_done, total, note="": self.reports.append((description, num_done, note))

    def notice(self, message):
        self.notices.append(message)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def heard():
    return Heard()


def observer(heard, clock, likely=LIKELY):
    return PipelineObserver(heard, likely, {SUPERNET: Stage.SUPERNET}, clock)


def test_a_machine_that_is_half_as_fast_takes_twice_as_long_for_what_is_to_come(heard, clock):
    stages = observer(heard, clock)
    stages.begin(Stage.VIEWS)
    with stages.progress(SUPERNET) as reach:
        reach(0, 100, "")
        clock.now_s = 20.0
        reach(10, 100, "loss 3")  # 200 s in all, where 100 s were likely

    assert heard.notices == [
        "stage 4 of 12: views, about 5 min of the whole left",
        "stage 5 of 12: supernet, about 5 min of the whole left",
    ]
    assert heard.reports[-1] == (
        f"stage 5 of 12: {SUPERNET}",
        10,
        "about 10 min of the whole left, loss 3",  # 180 s of this stage, 400 s of the search
    )


def test_work_that_is_resumed_says_how_fast_this_process_is(heard, clock):
    stages = observer(heard, clock)
    stages.begin(Stage.SUPERNET)
    with stages.progress(SUPERNET) as reach:
        reach(90, 100, "")
        clock.now_s = 5.0
        reach(95, 100, "")  # 1 s a step, as was likely

    assert stages.seconds_left(of_part=5.0) == 5.0 + 200.0


def test_reading_pictures_says_nothing_of_the_pace_of_a_training(heard, clock):
    stages = observer(heard, clock)
    stages.begin(Stage.SUPERNET)
    with stages.progress("Preparing emoji") as reach:
        reach(0, 100, "")
        clock.now_s = 3.0
        reach(99, 100, "")

    assert stages.seconds_left() == 97.0 + 200.0


def test_work_of_several_kinds_says_nothing_of_the_pace_of_the_machine(heard, clock):
    stages = observer(heard, clock, LIKELY | {Stage.VIEWS: 10.0})
    stages.begin(Stage.VIEWS)
    with stages.progress("Embedding views") as reach:
        reach(0, 100, "")
        clock.now_s = 90.0
        reach(90, 100, "")

    assert stages.seconds_left(of_part=10.0) == 10.0 + 100.0 + 200.0


def test_what_is_finished_already_takes_no_more_time(heard, clock):
    stages = observer(heard, clock, LIKELY | {Stage.SEARCH: 0.0})
    stages.begin(Stage.SUPERNET)
    clock.now_s = 100.0
    stages.begin(Stage.SEARCH)

    assert heard.notices[-1] == "stage 6 of 12: search"
    assert stages.seconds[Stage.SUPERNET] == 100.0
    assert stages.finished[-1] == Stage.SUPERNET


def test_a_stage_that_fails_is_named_and_not_finished(heard, clock):
    stages = observer(heard, clock)
    stages.begin(Stage.SUPERNET)
    clock.now_s = 7.0

    stages.stop()

    assert heard.notices[-1].startswith("stage 5 of 12, supernet, was not finished")
    assert (stages.finished, stages.seconds[Stage.SUPERNET]) == ((), 7.0)
