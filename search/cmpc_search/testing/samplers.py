"""What every sampler promises.

class TestMine(SamplerContract):
    @pytest.fixture
    def make(self):
        return make_mine
"""

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState

from cmpc_search.space.base import Architecture
from cmpc_search.study.encoding import Encoding
from cmpc_search.study.gate import Gate, GuardedSampler, NoArchitectureLeft
from cmpc_search.study.samplers.base import MakeSampler
from cmpc_search.study.settings import StudySettings
from cmpc_search.testing.toy_study import ToySpace, toy_score

__all__ = ["SamplerContract"]

SPACE = ToySpace()
SETTINGS = StudySettings(num_trials=24, population=6, cost="macs")


def proposals(
    make: MakeSampler, *, seed: int = 0, space: ToySpace = SPACE, failing: bool = False
) -> list[Architecture]:
    """Return what a sampler proposes, the score of each told before the next."""
    gate, encoding = Gate(), Encoding(space)
    study = optuna.create_study(
        directions=[StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE],
        sampler=GuardedSampler(make(seed, SETTINGS), space, gate, seed=seed),
    )
    found: list[Architecture] = []
    for number in range(SETTINGS.num_trials):
        gate.renew({one.key for one in found})
        trial = study.ask(encoding.distributions)
        found.append(encoding.from_params(trial.params))
        score = toy_score(found[-1], space)
        assert score.reward is not None
        assert score.macs is not None
        if failing and number % 2:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, [score.reward, score.macs])
    return found


class SamplerContract:
    """Subclass it and give a ``make`` fixture."""

    @pytest.fixture(autouse=True)
    def quiet(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)

    def test_it_finds_new_architectures_of_the_space_to_the_end(self, make: MakeSampler) -> None:
        found = proposals(make)
        assert len({one.key for one in found}) == SETTINGS.num_trials
        assert all(SPACE.read(one.key) == one for one in found)

    def test_the_seed_decides_what_it_proposes(self, make: MakeSampler) -> None:
        assert proposals(make, seed=7) == proposals(make, seed=7) != proposals(make, seed=8)

    def test_candidates_that_fail_do_not_stop_it(self, make: MakeSampler) -> None:
        assert len({one.key for one in proposals(make, failing=True)}) == SETTINGS.num_trials

    def test_a_space_that_runs_out_ends_it(self, make: MakeSampler) -> None:
        with pytest.raises(NoArchitectureLeft):
            proposals(make, space=ToySpace(num_blocks=1, codes=(0, 1)))
