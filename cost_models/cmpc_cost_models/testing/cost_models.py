"""What every cost model promises.

class TestMine(PredictorContract):
    @pytest.fixture
    def cost_model(self):
        return MyModel(find_target("arm"))
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cmpc_base.errors import CmpcError
from cmpc_cost_models.models.base import CostModel
from cmpc_cost_models.records import SOURCES, Cost, Measurement
from cmpc_cost_models.testing.networks import write_small_network

__all__ = ["CostModelContract", "PredictorContract"]

SECONDS_TO_IMPORT = 120


class CostModelContract:
    """Subclass it and give a ``cost_model`` fixture: of a target that a small network suits."""

    @pytest.fixture
    def cost_model(self) -> CostModel:
        raise NotImplementedError

    @pytest.fixture
    def network(self, tmp_path: Path) -> Path:
        return write_small_network(tmp_path / "small.onnx")

    def test_a_cost_says_what_it_is_and_comes_back_from_json(
        self, cost_model: CostModel, network: Path
    ) -> None:
        with cost_model:
            found = cost_model.estimate(network)

        assert isinstance(found, Cost)
        assert found.name
        assert found.unit
        assert found.source in SOURCES
        assert found.value > 0
        assert Cost.from_json(json.loads(json.dumps(found.to_json()))) == found

    def test_a_measurement_is_of_the_same_source_as_an_estimate(
        self, cost_model: CostModel, network: Path
    ) -> None:
        with cost_model:
            estimated, measured = cost_model.estimate(network), cost_model.measure(network)

        assert isinstance(estimated, Cost)
        assert measured.cost is not None
        assert (measured.cost.source, measured.cost.unit) == (estimated.source, estimated.unit)

    def test_what_is_no_network_is_an_error_that_the_next_network_outlives(
        self, cost_model: CostModel, network: Path, tmp_path: Path
    ) -> None:
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(b"no network")

        with cost_model:
            bad, good = cost_model.measure_interleaved([broken, network])
            with pytest.raises(CmpcError):
                cost_model.estimate(broken)

        assert bad.error is not None
        assert bad.cost is None
        assert good.cost is not None
        assert Measurement.from_json(json.loads(json.dumps(good.to_json()))) == good

    def test_its_note_is_a_sentence_or_nothing(self, cost_model: CostModel) -> None:
        with cost_model:
            assert cost_model.note is None or cost_model.note.endswith(".")


class PredictorContract(CostModelContract):
    """What a cost model promises that is asked of many networks, before any is compiled."""

    def test_the_same_network_has_the_same_cost(self, cost_model: CostModel, network: Path) -> None:
        with cost_model:
            assert cost_model.estimate(network) == cost_model.estimate(network)

    def test_it_says_aloud_that_nothing_is_measured(
        self, cost_model: CostModel, network: Path
    ) -> None:
        with cost_model:
            found = cost_model.estimate(network)

        assert isinstance(found, Cost)
        assert found.source != "measured"
        assert found.artefact_sha256 is None  # there is no library that it could be of

    def test_its_module_loads_no_compiler(self, cost_model: CostModel) -> None:
        script = (
            f"import sys, {type(cost_model).__module__}\n"
            "sys.exit(bool({'tvm', 'torch', 'onnxruntime'} & sys.modules.keys()))\n"
        )
        command = [sys.executable, "-c", script]
        assert subprocess.run(command, timeout=SECONDS_TO_IMPORT, check=False).returncode == 0
