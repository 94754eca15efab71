"""A profile of two kernels whose every number is made up, so that each can be known again."""

from cmpc_cost_models.models.limits import Bandwidth, Roofline
from cmpc_cost_models.profiling.records import KernelTime, NetworkProfile
from cmpc_cost_models.records import Cost, KernelRecord
from cmpc_cost_models.records.evidence import Conditions, Fingerprint, TimingEvidence

ROOFLINE = Roofline(
    gflops=100.0, bandwidths=(Bandwidth(num_bytes=1 << 20, gb_per_s=50.0),), source="measured"
)
TOTAL = Cost(
    name="latency",
    value=0.1,
    unit="ms",
    source="measured",
    spread=0.001,
    estimator="undisturbed median",
    count=12,
    num_set_aside=28,
    num_single_runs=400,
    p50=0.105,
    p90=0.11,
    p99=0.12,
    drift=0.001,
    target="host",
    evidence=TimingEvidence(
        fingerprint=Fingerprint(cpu_model="a processor"),
        cpus=(1,),
        conditions=Conditions(wall_s=1.0, cpu_share=1.0),
    ),
    artefact_sha256="ab" * 32,
)


def kernel(position: int, time_us: float, origin: str) -> KernelTime:
    record = KernelRecord(
        symbol=f"convolution_{position}",
        kind="convolution <+ relu>",
        shape="3x3, 8x8x16 to 8x8x16",
        flops=300_000,
        origin=origin,
    )
    return KernelTime(
        position=position,
        record=record,
        num_bytes=20_000,
        time_us=time_us,
        spread_us=0.1,
        share=time_us / 100,
        least_us=3.0,
        bound_by="arithmetic",
    )


PROFILE = NetworkProfile(
    network="net<1>.onnx",
    graph_sha256="cd" * 32,
    input_shape=(1, 3, 8, 8),
    num_threads=1,
    total=TOTAL,
    kernels=(kernel(1, 60.0, "record"), kernel(2, 30.0, "rule")),
    machine_us=6.0,
    fastest_us=(99.0, 95.0),
    roofline=ROOFLINE,
)
