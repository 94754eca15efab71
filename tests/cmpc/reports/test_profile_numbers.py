"""Each number of a profile stands where its name says: in text, table, page, charts and JSON."""

import re
from dataclasses import replace

import pytest
from made_up_profile import PROFILE, kernel

from cmpc.pictures.profile_charts import composition_chart, kernel_chart, roofline_chart
from cmpc.reports.profile import kernel_table, summary
from cmpc.reports.profile_page import profile_page
from cmpc_cost_models.profiling.records import Comparison


def test_each_number_of_a_kernel_stands_in_its_column_the_slowest_kernel_first():
    fast, slow = kernel(1, 20.0, "rule"), replace(kernel(2, 60.0, "record"), least_us=6.0)

    table = kernel_table(replace(PROFILE, kernels=(fast, slow)))

    first, second = zip(*(map(str, column.cells) for column in table.columns), strict=True)
    assert dict(zip((str(column.header) for column in table.columns), first, strict=True)) == {
        "#": "2",
        "kernel": "convolution <+ relu>",
        "shape": "3x3, 8x8x16 to 8x8x16",
        "time us": "60",
        "share %": "60",
        "GFLOP/s": "5",  # 300 000 operations in 60 us
        "of roofline %": "10",  # 6 us at best
        "bound by": "arithmetic",
        "schedule": "record",
        "name": "convolution_2",
    }
    assert second[0] == "1"
    assert str(table.title).startswith("net<1>.onnx on host, 1 thread: 0.1 ms measured")


def test_what_the_whole_reaches_is_held_against_the_roofline():
    told = "\n".join(summary(PROFILE))

    assert "6.0 of 100.0 GFLOP/s (measured)" in told
    assert "the roofline allows 6.0 us for these kernels, 6%" in told


def test_ours_and_the_rivals_latency_are_told_as_what_they_are():
    compared = Comparison(
        rival="onnxruntime",
        rival_version="1.23",
        ratio=0.75,
        ratio_spread=0.02,
        ratio_p10=0.7,
        ratio_p90=0.8,
        num_pairs=40,
        ours_ms=0.3,
        rival_ms=0.4,
    )

    compared_profile = replace(PROFILE, comparison=compared)
    *_, told = summary(compared_profile)

    assert 'onnxruntime&#x27;s</div><div class="value">0.75</div>' in profile_page(compared_profile)
    assert "± 0.02, 0.3 over 0.4 ms" in profile_page(compared_profile)
    assert told == (
        "onnxruntime 1.23: 0.4 ms, ours 0.3 ms, ratio 0.750 +- 0.020 (median and MAD of 40 pairs)"
    )


def test_each_number_of_the_page_stands_under_its_name():
    page = profile_page(PROFILE)

    cards = re.findall(
        r'<div class="name">(.*?)</div><div class="value">(.*?)</div><div class="note">(.*?)</div>',
        page,
    )
    assert [(name, value) for name, value, _ in cards] == [
        ("latency, measured", "0.1 ms"),
        ("in 2 kernels", "90.0%"),
        ("GFLOP/s", "6.0"),
        ("of the roofline", "6%"),
    ]
    assert [note for *_, note in cards[1:]] == [
        "virtual machine 6.0 µs, rest 4.0 µs",
        "of 100.0 at peak, measured",
        "limit 0.006 ms",
    ]
    [first, _] = re.findall(r"<tr><td class='n'>(.*?)</tr>", page)
    cells = [re.sub("<.*?>", "", cell) for cell in first.split("</td>")]
    assert cells[3:7] == ["60.00", "60.0%", "5.0", "5%"]


def test_charts_draw_what_was_measured_and_what_the_roofline_allows():
    bars = {bar.name: list(bar.x) for bar in kernel_chart(PROFILE).data}
    *_, dots = roofline_chart(PROFILE).data
    slices = [bar.x[0] for bar in composition_chart(PROFILE).data]

    assert bars == {
        "measured, schedule: record": [60.0],
        "measured, schedule: rule": [30.0],
        "least that the roofline allows": [3.0, 3.0],
    }
    assert list(dots.x) == [15.0, 15.0]  # 300 000 operations on 20 000 bytes
    assert list(dots.y) == pytest.approx([5.0, 10.0])
    assert slices == pytest.approx([90.0, 10.0])  # kernels of one kind, and all between them


def test_the_document_of_a_profile_says_each_number_under_its_name():
    document = PROFILE.to_json()

    assert document["sum_of_kernels_us"] == 90.0
    assert document["virtual_machine_us"] == 6.0
    assert document["fastest_block"] == {"total_us": 99.0, "sum_of_calls_us": 95.0}
    assert (document["flops"], document["least_us"]) == (600_000, 6.0)
    assert document["gflops"] == pytest.approx(6.0)
    assert document["time_us_by_schedule_source"] == {"record": 60.0, "rule": 30.0}
    first = document["kernels"][0]
    assert (first["position"], first["time_us"], first["spread_us"]) == (1, 60.0, 0.1)
    assert (first["share"], first["num_bytes"], first["least_us"]) == (0.6, 20_000, 3.0)
    assert first["gflops"] == pytest.approx(5.0)
    assert first["roofline_share"] == pytest.approx(0.05)
