"""Turn timed blocks into measurements: the value, its spread, and all the evidence there is."""

from collections.abc import Mapping, Sequence
from typing import Any

from cmpc_cost_models.models.workbench import Workbench
from cmpc_cost_models.records import CompiledNetwork, Cost, Measurement
from cmpc_cost_models.targets.machine import describe_machine, describe_versions
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.timing.blocks import Blocks
from cmpc_cost_models.timing.conditions import Conditions
from cmpc_cost_models.timing.verdict import (
    UNDISTURBED_MEDIAN,
    percentiles_of,
    summarise_blocks,
)

__all__ = ["as_measurements", "measurement_of"]

CONDITIONS = {  # that a system may keep to itself
    "waiting_share": "how long the timed threads waited for a processor",
    "others_share": "how much others used of their processors",
    "stolen_share": "how much of them a hypervisor gave to others",
    "clock_mhz": "their clock",
    "temperature_c": "their temperature",
}


def as_measurements(
    networks: Sequence[CompiledNetwork], blocks: Blocks, bench: Workbench
) -> list[Measurement]:
    """Return what the blocks of ``networks``, timed in turn on this machine, say of each."""
    machine = describe_machine() | {
        "num_threads": bench.num_threads,
        "cpus": list(bench.cpus),
        "conditions": blocks.conditions.to_json(),
    }
    doubts = tuple(bench.lease.doubts())
    return [
        measurement_of(
            network,
            blocks,
            index,
            target=bench.target,
            machine=machine,
            not_observed=_not_observed(blocks.conditions),
            doubts=doubts,
        )
        for index, network in enumerate(networks)
    ]


def measurement_of(
    network: CompiledNetwork,
    blocks: Blocks,
    index: int,
    *,
    target: Target,
    machine: Mapping[str, Any],
    not_observed: tuple[str, ...],
    doubts: tuple[str, ...] = (),
) -> Measurement:
    """Return what the blocks of the thing with this ``index`` say of ``network``.

    Args:
        machine: Who measured.
        not_observed: What could have disturbed the timing unseen.
        doubts: Why it may not be trusted, beside what the blocks say.
    """
    found = summarise_blocks(
        blocks.blocks_ms[index], blocks.conditions, blocks_per_round=blocks.blocks_per_round
    )
    single_ms = blocks.single_ms[index] if blocks.single_ms else []
    cost = Cost(
        name="latency",
        value=found.undisturbed_ms,
        unit="ms",
        source="measured",
        estimator=UNDISTURBED_MEDIAN,
        count=found.num_blocks,
        num_set_aside=found.num_set_aside,
        spread=found.mad_ms,
        num_single_runs=len(single_ms),
        **percentiles_of(single_ms),
        drift=found.drift,
        target=target.name,
        machine={
            **machine,
            "warmup_ms": blocks.warmup_ms,
            "is_steady": blocks.is_steady,
            "disturbed_share": found.disturbed_share,
        },
        not_observed=not_observed,
        versions=describe_versions(),
        artefact_sha256=network.sha256,
        kernel_origins=network.num_kernels_by_origin(),
    )
    reasons = (*found.unstable_reasons, *doubts)
    return Measurement(cost=cost, compiled=network, is_stable=not reasons, unstable_reasons=reasons)


def _not_observed(conditions: Conditions) -> tuple[str, ...]:
    """Say what this system did not tell of the conditions."""
    values = conditions.to_json()
    return tuple(text for name, text in CONDITIONS.items() if values[name] in (None, [None, None]))
