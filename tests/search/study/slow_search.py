"""The program that `test_kill.py` kills: a search whose scorer leaves a line per finished score.

python slow_search.py STUDY LOG NUM_TRIALS SECONDS_PER_CANDIDATE
"""

import os
import sys
import time
from pathlib import Path

from cmpc_search.study.coordination.files import FileCoordinator
from cmpc_search.study.loop import run_study
from cmpc_search.study.settings import StudySettings
from cmpc_search.testing.toy_study import ToySpace, toy_score


def main() -> None:
    study, log, num_trials, seconds = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]

    def score(architecture):
        time.sleep(float(seconds))
        line = f"{architecture.key}\n".encode()
        descriptor = os.open(log, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        os.write(descriptor, line)  # one write: a kill leaves the whole line or none
        os.close(descriptor)
        return toy_score(architecture)

    settings = StudySettings(num_trials=int(num_trials), population=6, cost="macs")
    run_study(score, ToySpace(), settings, coordinator=FileCoordinator(study))


if __name__ == "__main__":
    main()
