"""Turn timed blocks into measurements: the value, its spread, and all the evidence there is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from cmpc_cost_models.records import CompiledNetwork, Cost, Measurement
from cmpc_cost_models.records.evidence import Conditions, TimingEvidence, TimingSettings
from cmpc_cost_models.sites.process import SiteProcess
from cmpc_cost_models.targets.machine import describe_versions
from cmpc_cost_models.targets.system_calls import can_pin
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.timing.blocks import Blocks
from cmpc_cost_models.timing.verdict import (
    UNDISTURBED_MEDIAN,
    BlockStatistics,
    doubts_of_clock,
    percentiles_of,
    summarise_blocks,
)

__all__ = ["TimingContext", "measurement_of"]

CONDITIONS = {  # that a system may keep to itself
    "waiting_share": "how long the timed threads waited for a processor",
    "others_share": "how much others used of their processors",
    "stolen_share": "how much of them a hypervisor gave to others",
    "clock_mhz": "their clock",
    "temperature_c": "their temperature",
}
FREE_THREADS = "whether the timed threads stayed on their processors: this system pins none"
UNKNOWN_PROCESSOR = "whether its processor is the target's: the device does not tell"


@dataclass(frozen=True, kw_only=True, slots=True)
class TimingContext:
    """Where and how networks were timed together.

    Attributes:
        doubts: Why that timing may not be trusted, beside what its blocks say.
    """

    site: SiteProcess
    target: Target
    settings: TimingSettings
    doubts: tuple[str, ...]

    @classmethod
    def after_timing(cls, site: SiteProcess, target: Target, settings: TimingSettings) -> Self:
        """Return it for the timing that ended just now: who else was there is asked of the site."""
        return cls(site=site, target=target, settings=settings, doubts=tuple(site.doubts()))

    def evidence(self, blocks: Blocks, found: BlockStatistics) -> TimingEvidence:
        """Return all that is known of the timing of one network."""
        return TimingEvidence(
            fingerprint=self.site.facts.fingerprint,
            device=self.site.name if self.site.is_remote else None,
            num_threads=self.site.num_threads,
            cpus=self.site.cpus,
            conditions=blocks.conditions,
            settings=self.settings,
            warmup_ms=blocks.warmup_ms,
            is_steady=blocks.is_steady,
            disturbed_share=found.disturbed_share,
        )

    def not_observed(self, conditions: Conditions) -> Iterator[str]:
        """Say what could have disturbed the timing unseen."""
        values = conditions.to_json()
        for name, text in CONDITIONS.items():
            if values[name] in (None, [None, None]):
                yield text
        if not self.site.is_remote and not can_pin():
            yield FREE_THREADS
        if self.target.required_flags and self.site.facts.features is None:
            yield UNKNOWN_PROCESSOR


def measurement_of(
    network: CompiledNetwork, blocks: Blocks, index: int, context: TimingContext
) -> Measurement:
    """Return what the blocks of the thing with this ``index`` say of ``network``."""
    found = summarise_blocks(
        blocks.blocks_ms[index], blocks.conditions, blocks_per_round=blocks.blocks_per_round
    )
    single_ms = blocks.single_ms[index] if blocks.single_ms else []
    percentiles = percentiles_of(single_ms)
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
        p50=percentiles["p50"],
        p90=percentiles["p90"],
        p99=percentiles["p99"],
        drift=found.drift,
        target=context.target.name,
        evidence=context.evidence(blocks, found),
        not_observed=tuple(context.not_observed(blocks.conditions)),
        versions=describe_versions(),
    )
    of_clock = doubts_of_clock(blocks.timed_s, blocks.conditions.wall_s)
    reasons = (*found.unstable_reasons, *of_clock, *context.doubts)
    cost = cost.of_network(network)
    return Measurement(cost=cost, compiled=network, is_stable=not reasons, unstable_reasons=reasons)
