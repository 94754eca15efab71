"""What a user reads of a profile: a table, one document, a page that fetches nothing."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from made_up_profile import PROFILE, TOTAL, kernel

from cmpc.cli import command_line
from cmpc.cli.publishing import trust_or_raise
from cmpc.errors import UntrustedTiming
from cmpc.reports.profile import doubts, kernel_table, summary
from cmpc.reports.profile_page import profile_page
from cmpc_cost_models.graphs.writing import GraphWriter
from cmpc_cost_models.profiling.records import Comparison
from cmpc_cost_models.records import NodePath


def test_what_is_measured_adds_up_and_is_said():
    told = "\n".join(summary(PROFILE))

    assert (
        "total 100.0 us = 2 kernels 90.0 us (90.0%) + virtual machine 6.0 us + rest 4.0 us" in told
    )
    assert "record 67%, rule 33%" in told
    assert "importer" not in told
    assert "undisturbed median of 12 blocks; 28 blocks" in told
    assert "single inferences: P50 0.105 ms, P90 0.11 ms, P99 0.12 ms over 400 runs" in told
    assert PROFILE.gflops == pytest.approx(6.0)  # 600 000 operations in 100 us
    assert PROFILE.kernels[0].roofline_share == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("total_us", "machine_us", "parts"),
    [
        (100.0, 6.0, {"kernels": 90.0, "virtual machine": 6.0, "rest": 4.0}),
        (95.0, 8.2, {"kernels": 90.0, "virtual machine and rest": 5.0}),
        (1.1, 8.2, {"kernels and virtual machine": 1.1}),
    ],
)
def test_parts_add_up_and_none_is_negative_however_much_the_stopwatch_shows(
    total_us, machine_us, parts
):
    total = replace(TOTAL, value=total_us / 1e3)
    profile = replace(PROFILE, total=total, machine_us=machine_us)

    assert profile.parts_us == pytest.approx(parts)
    told = "\n".join(summary(profile))
    assert "-" not in told.splitlines()[0]
    assert ("can't be told apart" in told) == (len(parts) < 3)
    assert profile.to_json()["parts_us"] == pytest.approx(parts)
    profile_page(profile)


@pytest.mark.parametrize(
    ("total_us", "parts"),
    [(95.0, {"kernels": 90.0, "rest": 5.0}), (80.0, {"kernels and rest": 80.0})],
)
def test_a_network_that_calls_its_kernels_itself_has_no_part_of_a_machine(total_us, parts):
    total = replace(TOTAL, value=total_us / 1e3)
    profile = replace(PROFILE, total=total, machine_us=0.0, executor="aot")

    assert profile.parts_us == pytest.approx(parts)
    told = "\n".join(summary(profile))
    assert "executor: aot, one compiled function" in told
    assert "virtual machine" not in profile_page(profile)
    assert profile.to_json()["executor"] == "aot"
    assert "executor: vm, TVM's virtual machine" in "\n".join(summary(PROFILE))


def test_the_operators_that_tvm_imports_are_named():
    node = NodePath(node="squash", operator="Softsign", path="import", kernel="imported")

    assert "importer, in plain loops: Softsign 'squash'" in "\n".join(
        summary(replace(PROFILE, nodes=(node,)))
    )


def test_operations_that_nobody_counted_make_the_total_unknown_and_not_smaller():
    foreign = replace(
        kernel(3, 5.0, "importer"),
        record=replace(PROFILE.kernels[0].record, kind="softsign", flops=None),
        least_us=None,
        bound_by=None,
    )
    profile = replace(PROFILE, kernels=(*PROFILE.kernels, foreign))

    assert profile.flops is profile.gflops is profile.least_us is None
    told = "\n".join(summary(profile))
    assert "unknown: TVM can't count the operations of softsign" in told
    assert "unknown" in profile_page(profile)
    assert [one["flops"] for one in profile.to_json()["kernels"]] == [300_000, 300_000, None]
    cells = [str(cell) for column in kernel_table(profile).columns for cell in column._cells]
    assert cells.count("unknown") == 3


def test_the_page_holds_every_kernel_and_fetches_nothing():
    page = profile_page(PROFILE)

    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert "default-src 'none'" in own
    assert not re.search(r"""(src|href)\s*=|https?://|@import|url\(""", own)
    assert "<h1>net&lt;1&gt;.onnx</h1>" in own
    assert own.count("<tr><td class='n'>") == len(PROFILE.kernels)
    assert "may not be trusted" not in own
    assert "undisturbed median of 12 blocks, 28 set aside" in own
    assert "P99 0.12 ms over 400 runs" in own


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


@pytest.mark.slow
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
