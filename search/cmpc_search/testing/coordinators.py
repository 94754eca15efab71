"""What every coordinator of a study promises.

    class TestMine(CoordinatorContract):
        @pytest.fixture
        def coordinator(self, tmp_path):
            return Mine(tmp_path / "study")

It is a value that other processes can be sent, since each of them uses one of its own.
"""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import pytest
from optuna.study import StudyDirection

from cmpc_search.errors import BadRun
from cmpc_search.study.coordination.base import Coordinator

__all__ = ["CoordinatorContract"]

PATIENCE_S = 60.0  # of a test for another process


def work(coordinator: Coordinator, to_test: Connection) -> None:
    """Join, take the turn, say so, and keep both until told to let go."""
    with coordinator.join() as worker:
        with coordinator.turn():
            coordinator.create_study()
            to_test.send(worker.name)
            to_test.recv()
            coordinator.create_study().set_user_attr("turn", "of the other")
        to_test.recv()


@contextmanager
def other_process(coordinator: Coordinator) -> Iterator[tuple[BaseProcess, Connection, str]]:
    """Yield a process that has its turn, the connection to it, and its worker's name."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=work, args=(coordinator, there))
    process.start()
    try:
        assert here.poll(PATIENCE_S), "the other process must have its turn"
        yield process, here, here.recv()
    finally:
        process.kill()
        process.join()


class CoordinatorContract:
    """Subclass it and give a ``coordinator`` fixture: of a study that is not begun yet."""

    def test_a_study_is_begun_once_and_keeps_what_it_is_told(
        self, coordinator: Coordinator
    ) -> None:
        with coordinator.turn():
            coordinator.create_study().set_user_attr("meaning", "kept")
        with coordinator.turn():
            assert coordinator.create_study().user_attrs["meaning"] == "kept"
        study = coordinator.load_study()
        assert study.user_attrs["meaning"] == "kept"
        assert study.directions == [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]

    def test_looking_for_a_study_begins_none(self, coordinator: Coordinator) -> None:
        for _ in range(2):
            with pytest.raises(BadRun):
                coordinator.load_study()

    def test_a_worker_lives_as_long_as_its_context(self, coordinator: Coordinator) -> None:
        with coordinator.join() as first:
            assert first.is_alive(first.name)
            assert not first.is_alive("nobody")
        with coordinator.join() as second:
            assert second.name != first.name
            assert not second.is_alive(first.name)
        assert coordinator.live_workers() == ()

    def test_only_one_process_has_its_turn(self, coordinator: Coordinator) -> None:
        with other_process(coordinator) as (_, connection, name):
            assert coordinator.live_workers() == (name,)
            release_later(lambda: connection.send("go on"))
            with coordinator.turn():
                assert coordinator.create_study().user_attrs == {"turn": "of the other"}

    def test_a_killed_process_keeps_neither_turn_nor_life(self, coordinator: Coordinator) -> None:
        with other_process(coordinator) as (process, _, name), coordinator.join() as worker:
            assert worker.is_alive(name)
            process.kill()
            process.join()
            with coordinator.turn():
                assert not worker.is_alive(name)


def release_later(release: Callable[[], None]) -> None:
    """Call ``release`` from a thread, after a moment in which the test begins to wait."""
    timer = threading.Timer(0.2, release)
    timer.daemon = True
    timer.start()
