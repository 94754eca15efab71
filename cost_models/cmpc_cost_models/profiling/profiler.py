"""Profile a network on this machine: compile it as always, then time the library that ships.

compiled, checked --> whole and call by call, in turn --> limits of the machine --> rival
"""

from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from cmpc_base.closeable import Closeable
from cmpc_cost_models.compiling.options import CompileOrder
from cmpc_cost_models.errors import BadArgument, ProfileFailed
from cmpc_cost_models.models.checked_compiler import CheckedCompiler, as_request
from cmpc_cost_models.models.limits import Roofline
from cmpc_cost_models.models.measurements import TimingContext, measurement_of
from cmpc_cost_models.plans.work import Work
from cmpc_cost_models.profiling.records import Comparison, KernelTime, NetworkProfile
from cmpc_cost_models.profiling.rival import RIVALS
from cmpc_cost_models.records import CompiledNetwork, KernelRecord, Measurement
from cmpc_cost_models.sites.process import HereProcess, SiteProcess
from cmpc_cost_models.timing.attempts import most_stable
from cmpc_cost_models.timing.blocks import Blocks
from cmpc_cost_models.timing.rounds import undisturbed_blocks
from cmpc_cost_models.timing.settings import MeasureSettings
from cmpc_cost_models.timing.verdict import doubts_of_ratio, summarise_blocks

__all__ = ["Profiler", "comparison_of"]

WORKER = "cmpc_cost_models.profiling.worker"


class Profiler(Closeable):
    """Profiles networks on this machine, one after the other, in a worker of its own.

        with Profiler(CompileOrder(target=find_target("host"), cache_dir=cache)) as profiler:
            profile = profiler.profile(path, rival="onnxruntime")

    Of this machine only: the stopwatch and the limits are measured in the very process.

    Args:
        site: A process that knows the verbs of ``worker``; one of this machine by default.

    Raises:
        BadArgument: the target can't run on this machine, or there are too few processors.
    """

    def __init__(
        self,
        order: CompileOrder,
        settings: MeasureSettings | None = None,
        *,
        site: SiteProcess | None = None,
    ) -> None:
        self._target = order.target
        self._settings = settings or MeasureSettings()
        self._site = site or HereProcess(
            order.target,
            num_threads=order.num_threads,
            cpus=self._settings.cpus,
            module=WORKER,
        )
        self._compiler = CheckedCompiler(
            site=self._site,
            order=order,
            limit_seconds=self._settings.limit_seconds,
            check_seconds=self._settings.limit_seconds,
        )

    def close(self) -> None:
        """End the worker and give its processors back."""
        self._site.close()

    def profile(self, onnx_path: Path, *, rival: str | None = None) -> NetworkProfile:
        """Return where the time of a network goes, and how a rival does on it.

        Raises:
            ProfileFailed: it can't be compiled, gives a wrong answer or can't be timed.
            BadArgument: there is no such rival.
        """
        if rival is not None and rival not in RIVALS:
            raise BadArgument.among(RIVALS, "rival", rival)
        network = self._compiler.compile(onnx_path)
        if isinstance(network, Measurement):
            raise ProfileFailed(f"{onnx_path.name} can't be profiled: {network.error}")
        timed = most_stable(
            lambda: self._timed_calls(network), _TimedCalls.instability, self._settings.max_attempts
        )
        target = {"target": self._target.to_json()}
        roofline = Roofline.from_json(self._ask("peaks", target))
        context = TimingContext.after_timing(self._site, self._target, self._settings.timing)
        whole = measurement_of(network, timed.blocks, 0, context)
        assert whole.cost is not None, "what was timed has a cost"
        return NetworkProfile(
            network=onnx_path.name,
            graph_sha256=network.graph_sha256,
            input_shape=network.input_shape,
            num_threads=self._site.num_threads,
            total=whole.cost,
            kernels=_kernel_times(network, timed, whole.cost.value * 1e3, roofline),
            executor=network.executor,
            machine_us=sum(one.median_us for one in timed.calls if not one.is_kernel),
            fastest_us=timed.fastest_us,
            roofline=roofline,
            nodes=network.nodes,
            comparison=None if rival is None else self._compare(network, onnx_path, rival),
            unstable_reasons=whole.unstable_reasons,
        )

    def _timed_calls(self, network: CompiledNetwork) -> "_TimedCalls":
        request = self._request(network) | {
            "target": self._target.to_json(),
            "calls": _calls_ahead(network),
        }
        return _TimedCalls.from_answer(self._ask("profile", request))

    def _compare(self, network: CompiledNetwork, onnx_path: Path, rival: str) -> Comparison:
        request = self._request(network) | {"onnx_path": str(onnx_path)}
        return comparison_of(rival, Blocks.from_json(self._ask("compare", request)))

    def _request(self, network: CompiledNetwork) -> dict[str, Any]:
        return {"network": as_request(network), "settings": asdict(self._settings.timing)}

    def _ask(self, verb: str, request: dict[str, Any]) -> dict[str, Any]:
        answer = self._site.ask(verb, request, limit_seconds=self._settings.limit_seconds)
        if answer.error is not None:
            raise ProfileFailed(f"the network can't be profiled: {answer.error}")
        return dict(answer.result)


def comparison_of(rival: str, blocks: Blocks) -> Comparison:
    """Compare the blocks of two runtimes that were timed in turn, ours first, pair by pair."""
    ours, theirs = (np.asarray(one) for one in blocks.blocks_ms)
    ratios = ours / theirs
    ratio = float(np.median(ratios))
    spread = float(np.median(np.abs(ratios - ratio)))
    return Comparison(
        rival=rival,
        rival_version=version(rival),
        ratio=ratio,
        ratio_spread=spread,
        ratio_p10=float(np.percentile(ratios, 10)),
        ratio_p90=float(np.percentile(ratios, 90)),
        num_pairs=len(ratios),
        ours_ms=float(np.median(ours)),
        rival_ms=float(np.median(theirs)),
        unstable_reasons=tuple(doubts_of_ratio(spread / ratio, len(ratios))),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _TimedCall:
    """One call of a network's, with its time in each block summarised."""

    symbol: str
    parent: int | None
    shapes: list[list[int]]
    num_bytes: int
    median_us: float
    spread_us: float
    makes_calls: bool

    @property
    def is_kernel(self) -> bool:
        """Whether it computes something: its name has no dot, as in vm.builtin.alloc_storage.

        What only calls others is the machine's, too: a function of imported nodes.
        """
        return "." not in self.symbol and not self.makes_calls


@dataclass(frozen=True, kw_only=True, slots=True)
class _TimedCalls:
    """All calls of one run, and the blocks of the network: whole, and with the stopwatch."""

    calls: tuple[_TimedCall, ...]
    blocks: Blocks

    def instability(self) -> tuple[int]:
        """Count the doubts about the network as a whole."""
        blocks = self.blocks
        whole = summarise_blocks(
            blocks.blocks_ms[0], blocks.conditions, blocks_per_round=blocks.blocks_per_round
        )
        return (len(whole.unstable_reasons),)

    @property
    def fastest_us(self) -> tuple[float, float]:
        whole, by_calls = self.blocks.blocks_ms
        return min(whole) * 1e3, min(by_calls) * 1e3

    @classmethod
    def from_answer(cls, answer: dict[str, Any]) -> "_TimedCalls":
        blocks = Blocks.from_json(answer["blocks"])
        is_kept = undisturbed_blocks(blocks.blocks_ms[0], blocks.blocks_per_round)
        times_us = np.asarray(answer["calls_us"])[:, is_kept]
        median = np.median(times_us, axis=1)
        spread = np.median(np.abs(times_us - median[:, None]), axis=1)
        parents = {call["parent"] for call in answer["calls"]}
        calls = (
            _TimedCall(
                **call,
                median_us=float(median[number]),
                spread_us=float(spread[number]),
                makes_calls=number in parents,
            )
            for number, call in enumerate(answer["calls"])
        )
        return cls(calls=tuple(calls), blocks=blocks)


def _calls_ahead(network: CompiledNetwork) -> list[dict[str, Any]]:
    """Return the calls of a network that was compiled ahead; none where a machine makes them."""
    kernels = network.called_kernels() if network.executor == "aot" else ()
    return [
        {"symbol": one.symbol, "parent": None, "shapes": [], "num_bytes": one.num_bytes}
        for one in kernels
    ]


def _kernel_times(
    network: CompiledNetwork, timed: _TimedCalls, total_us: float, roofline: Roofline
) -> tuple[KernelTime, ...]:
    records = {one.symbol: one for one in network.kernels}
    kernels = []
    calls = [one for one in timed.calls if one.is_kernel]
    # Calls under the stopwatch may come to more than the total without it: shares stay shares.
    whole_us = max(total_us, sum(call.median_us for call in calls))
    for position, call in enumerate(calls, start=1):
        record = records.get(call.symbol) or _record_of_tvm(call)
        kernels.append(
            KernelTime(
                position=position,
                record=record,
                num_bytes=call.num_bytes,
                time_us=call.median_us,
                spread_us=call.spread_us,
                share=call.median_us / whole_us,
                **_limit(record.flops, call.num_bytes, roofline),
            )
        )
    return tuple(kernels)


def _limit(flops: int | None, num_bytes: int, roofline: Roofline) -> dict[str, Any]:
    """Return the least time of a kernel, and what sets it; unknown where its work is."""
    if flops is None:
        return {"least_us": None, "bound_by": None}
    work = Work(flops=flops, num_bytes=num_bytes)
    return {
        "least_us": roofline.least_us(work),
        "bound_by": roofline.bound_by(work),
    }


def _record_of_tvm(call: _TimedCall) -> KernelRecord:
    """Return the facts of a kernel that TVM added while it compiled, a reshape or a copy."""
    shapes = ["x".join(map(str, shape)) for shape in call.shapes]
    return KernelRecord(
        symbol=call.symbol,
        kind=call.symbol.rstrip("0123456789").replace("_", " "),
        shape=" to ".join(shapes),
        flops=None,
        origin="importer",
    )
