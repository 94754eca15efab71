"""What one side of a pipe writes is what the other reads, or nothing."""

import fcntl
import math
import os
import resource
import threading

import pytest

from cmpc_cost_models.workers.messages import read_message, write_message


@pytest.fixture
def pipe():
    ends = list(os.pipe())
    yield ends
    for end in ends:
        os.close(end)


def test_a_message_larger_than_a_pipe_is_read_whole(pipe):
    message = {"answers": [[0.1, -1e-30, math.inf], list(range(100_000))], "what": "é"}
    writer = threading.Thread(target=write_message, args=(pipe[1], message))

    writer.start()
    found = read_message(pipe[0], limit_seconds=30)
    writer.join()

    assert found == message


def test_half_a_message_is_none_when_the_writer_is_gone_and_late_while_it_lives(pipe):
    os.write(pipe[1], b"\0\0\0\x10{")
    with pytest.raises(TimeoutError):
        read_message(pipe[0], limit_seconds=0.05)

    os.write(pipe[1], b"\0\0\0\x10{")
    os.close(pipe.pop())

    assert read_message(pipe[0], limit_seconds=30) is None


def test_a_process_with_many_open_files_still_waits_for_an_answer(pipe):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    late = fcntl.fcntl(pipe[0], fcntl.F_DUPFD, 1500)  # more than `select` can count
    try:
        with pytest.raises(TimeoutError):
            read_message(late, limit_seconds=0.01)
        write_message(pipe[1], {"answer": 1})
        assert read_message(late, limit_seconds=5) == {"answer": 1}
    finally:
        os.close(late)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
