"""What a user reads of a profile: a table, one document, a page that fetches nothing."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from cmpc.cli import command_line
from cmpc.errors import BadSettings, UntrustedTiming
from cmpc.pictures.profile_page import profile_page
from cmpc.profiles import doubts, network_of, summary
from cmpc.trust import trust_or_raise
from cmpc_cost_models.base import Cost, KernelRecord
from cmpc_cost_models.graph_writer import GraphWriter
from cmpc_cost_models.profiling.records import Comparison, KernelTime, NetworkProfile
from cmpc_cost_models.profiling.roofline import Bandwidth, Roofline

ROOFLINE = Roofline(
    gflops=100.0, bandwidths=(Bandwidth(num_bytes=1 << 20, gb_per_s=50.0),), source="measured"
)
TOTAL = Cost(
    name="latency",
    value=0.1,
    unit="ms",
    source="measured",
    spread=0.001,
    p90=0.11,
    p99=0.12,
    drift=0.001,
    target="host",
    machine={"cpu_model": "a processor", "cpus": [1], "conditions": {"cpu_share": 1.0}},
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


def test_what_is_measured_adds_up_and_is_said():
    told = "\n".join(summary(PROFILE))

    assert (
        "total 100.0 us = 2 kernels 90.0 us (90.0%) + virtual machine 6.0 us + rest 4.0 us" in told
    )
    assert "record 67%, rule 33%" in told
    assert PROFILE.gflops == pytest.approx(6.0)  # 600 000 operations in 100 us
    assert PROFILE.kernels[0].roofline_share == pytest.approx(0.05)


def test_the_page_holds_every_kernel_and_fetches_nothing():
    page = profile_page(PROFILE)

    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert "default-src 'none'" in own
    assert not re.search(r"""(src|href)\s*=|https?://|@import|url\(""", own)
    assert "<h1>net&lt;1&gt;.onnx</h1>" in own
    assert own.count("<tr><td class='n'>") == len(PROFILE.kernels)
    assert "may not be trusted" not in own


def test_an_unstable_profile_says_so_on_the_page_and_ends_with_an_error():
    unstable = replace(PROFILE, unstable_reasons=("another process runs there",))

    assert "another process runs there" in profile_page(unstable)
    with pytest.raises(UntrustedTiming, match="another process runs there") as caught:
        trust_or_raise(doubts(unstable))
    assert caught.value.exit_code == 3
    trust_or_raise(doubts(PROFILE))


def test_a_ratio_that_may_not_be_trusted_makes_the_profile_untrusted():
    compared = Comparison(
        rival="onnxruntime",
        rival_version="1",
        ratio=1.5,
        ratio_spread=0.5,
        ratio_p10=1.0,
        ratio_p90=2.0,
        num_pairs=5,
        ours_ms=1.5,
        rival_ms=1.0,
        unstable_reasons=("the ratio is known to 30%",),
    )

    assert not replace(PROFILE, comparison=compared).is_stable


def test_a_candidate_is_asked_of_a_run_only(tmp_path):
    file = tmp_path / "net.onnx"
    file.touch()

    assert network_of(file, None) == file
    with pytest.raises(BadSettings, match="goes with a run"):
        network_of(file, 3)


def test_the_command_profiles_a_network_that_is_not_ours(tmp_path):
    rng = np.random.default_rng(0)
    writer = GraphWriter("foreign", (1, 3, 24, 40))
    weight = rng.standard_normal((16, 3, 3, 3), dtype=np.float32)
    value = writer.relu(writer.conv(writer.input, weight, stride=2, padding=1))
    weight = rng.standard_normal((8, 16), dtype=np.float32)
    path, page = tmp_path / "foreign.onnx", tmp_path / "page.html"
    writer.save(path, writer.dense(writer.global_average_pool(value), weight))
    arguments = ["profile", path, "--json", "--compare", "onnxruntime", "--html", page]
    arguments += ["--seconds", 0.5]

    result = CliRunner().invoke(
        command_line, [str(word) for word in [*arguments, "--cache-dir", tmp_path / "cache"]]
    )

    document = json.loads(result.stdout)
    assert result.exit_code == (0 if document["is_stable"] else 3)
    assert document["total"]["source"] == "measured"
    assert document["comparison"]["rival"] == "onnxruntime"
    assert document["comparison"]["ratio"] > 0
    sources = {kernel["kind"]: kernel["schedule_source"] for kernel in document["kernels"]}
    assert sources["convolution + relu"] == "rule"
    assert "foreign.onnx" in page.read_text()
