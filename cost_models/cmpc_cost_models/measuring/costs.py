"""Turn timed blocks into measurements: the value, its spread, and all the evidence there is."""

from collections.abc import Sequence
from typing import Any

from cmpc_cost_models.base import CompiledNetwork, Cost, Measurement
from cmpc_cost_models.machine import describe_machine, describe_versions
from cmpc_cost_models.measuring.blocks import Blocks
from cmpc_cost_models.measuring.timing import BlockStatistics, summarise_blocks
from cmpc_cost_models.measuring.workbench import Workbench
from cmpc_cost_models.targets import Target

__all__ = ["as_measurements"]


def as_measurements(
    networks: Sequence[CompiledNetwork], blocks: Blocks, bench: Workbench
) -> list[Measurement]:
    """Return what the blocks of ``networks``, timed in turn, say of each."""
    machine = describe_machine() | {
        "num_threads": bench.num_threads,
        "cpus": list(bench.cpus),
        "warmup_ms": blocks.warmup_ms,
        "is_steady": blocks.is_steady,
        "conditions": blocks.conditions.to_json(),
    }
    measurements = []
    for network, blocks_ms in zip(networks, blocks.blocks_ms, strict=True):
        statistics = summarise_blocks(
            blocks_ms, blocks.conditions, blocks_per_round=blocks.blocks_per_round
        )
        measurements.append(
            Measurement(
                cost=_as_cost(
                    statistics,
                    network,
                    bench.target,
                    machine | {"disturbed_share": statistics.disturbed_share},
                ),
                compiled=network,
                is_stable=not statistics.unstable_reasons,
                unstable_reasons=statistics.unstable_reasons,
            )
        )
    return measurements


def _as_cost(
    blocks: BlockStatistics,
    network: CompiledNetwork,
    target: Target,
    machine: dict[str, Any],
) -> Cost:
    return Cost(
        name="latency",
        value=blocks.median_ms,
        unit="ms",
        source="measured",
        count=blocks.num_blocks,
        spread=blocks.mad_ms,
        p90=blocks.p90_ms,
        p99=blocks.p99_ms,
        drift=blocks.drift,
        target=target.name,
        machine=machine,
        versions=describe_versions(),
        artefact_sha256=network.sha256,
        kernel_origins=network.num_kernels_by_origin(),
    )
