"""Where stderr is no terminal, progress is a line now and then, with the time left."""

from cmpc.progress import LineSteps, TerminalObserver, progress


class FakeClock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


def test_lines_come_at_a_bounded_rate(capsys):
    clock = FakeClock()
    steps = LineSteps("Measuring", 1000, clock)

    for _ in range(1000):
        clock.now_s += 0.02
        steps.advance()

    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) in (3, 4)  # 20 s of work, a line every 5 s


def test_a_line_tells_the_time_left_and_the_note(capsys):
    clock = FakeClock()
    steps = LineSteps("Measuring", 24, clock)

    steps.reach(0)
    clock.now_s = 30.0
    steps.reach(6, note="3.2 ms")

    assert capsys.readouterr().err == "Measuring: 6/24, 25%, 1:30 left, 3.2 ms\n"


def test_the_time_left_of_work_that_is_resumed_goes_by_what_is_done_now(capsys):
    clock = FakeClock()
    steps = LineSteps("Training", 1000, clock)

    for step in range(901, 911):  # 900 were done by a process that was killed
        clock.now_s += 6.0
        steps.reach(step)

    lines = capsys.readouterr().err.splitlines()
    assert "left" not in lines[0]  # nobody knows yet
    assert lines[-1] == "Training: 910/1000, 91%, 9:00 left"


def test_work_that_begins_another_part_has_no_time_left_below_zero(capsys):
    clock = FakeClock()
    steps = LineSteps("Embedding", 2000, clock)

    steps.reach(1990)
    for done in (10, 20):
        clock.now_s += 6.0
        steps.reach(done, total=100)

    assert capsys.readouterr().err.splitlines() == [
        "Embedding: 10/100, 10%",
        "Embedding: 20/100, 20%, 0:48 left",
    ]


def test_long_work_may_ask_for_fewer_lines(capsys):
    clock = FakeClock()
    steps = LineSteps("Measuring", 1000, clock, pause_s=10.0)

    for _ in range(1000):
        clock.now_s += 0.021
        steps.advance()

    assert len(capsys.readouterr().err.splitlines()) == 2  # 21 s of work


def test_outside_a_terminal_progress_ends_with_what_was_done(capsys):
    with progress("Embedding") as steps:
        steps.advance(3)

    assert capsys.readouterr().err == "Embedding: 3 done; this took 0:00\n"


def test_what_is_interrupted_is_not_called_done(capsys):
    with progress("Embedding", total=8) as steps:
        steps.advance(3)

    assert capsys.readouterr().err == "Embedding: stopped at 3 of 8 after 0:00\n"


def test_what_can_not_wait_is_on_stderr_before_the_next_step(capsys):
    observer = TerminalObserver()
    with observer.progress("Searching"):
        observer.notice("waiting for process 12")

        assert capsys.readouterr().err == "waiting for process 12\n"


def test_a_part_within_a_part_gives_the_terminal_back_to_the_outer_one(capsys):
    observer = TerminalObserver()
    with observer.progress("Embedding"):
        with observer.progress("Preparing"):
            observer.notice("inner")
        observer.notice("outer")

    assert capsys.readouterr().err == "inner\nouter\n"
