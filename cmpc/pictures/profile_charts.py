"""The charts of a profile: each kernel against its limit, the roofline, what the time is made of.

Colours tell where a kernel's schedule comes from, and the legend names them; a number that is also
in the table needs no label in a chart.
"""

from typing import TYPE_CHECKING, Any

from cmpc.pictures.canvas import AMBER, BLUE, GREEN, GREY, INK, PALE, RED

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from cmpc_cost_models.profiling.records import KernelTime, NetworkProfile

__all__ = ["COLOURS", "composition_chart", "kernel_chart", "roofline_chart"]

COLOURS = {"record": BLUE, "similar": GREEN, "rule": AMBER, "importer": RED}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
BAR_PIXELS = 19
FEWEST_BARS = 6
LARGEST_DOT, SMALLEST_DOT = 34.0, 7.0
MAX_SLICES = 7
BETWEEN = {"aot": "rest", "vm": "virtual machine and rest"}  # by what makes the calls
SLICE_COLOURS = (BLUE, "#56b4e9", GREEN, AMBER, "#cc79a7", "#8c6bb1", "#80b1a2", "#c9b458")


def kernel_chart(profile: "NetworkProfile") -> "go.Figure":
    """Draw a bar for each kernel in the order they run, with its roofline limit inside."""
    import plotly.graph_objects as go

    figure = go.Figure()
    kernels = profile.kernels
    names = [_name(one) for one in kernels]
    for origin in dict.fromkeys(one.record.origin for one in kernels):
        chosen = [index for index, one in enumerate(kernels) if one.record.origin == origin]
        figure.add_bar(
            y=[names[index] for index in chosen],
            x=[kernels[index].time_us for index in chosen],
            customdata=[_details(kernels[index]) for index in chosen],
            hovertemplate="<b>%{y}</b><br>%{customdata}<extra></extra>",
            name=f"measured, schedule: {origin}",
            marker_color=COLOURS[origin],
            orientation="h",
        )
    figure.add_bar(
        y=names,
        x=[one.least_us for one in kernels],
        name="least that the roofline allows",
        marker_color=INK,
        width=0.28,
        orientation="h",
        hoverinfo="skip",
    )
    figure.update_layout(**_layout(height=120 + BAR_PIXELS * max(FEWEST_BARS, len(kernels))))
    figure.update_layout(barmode="overlay", bargap=0.22)
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=names,
        autorange="reversed",
        tickfont_size=11,
        ticklabelstandoff=6,
    )
    figure.update_xaxes(ticksuffix=" µs", gridcolor=PALE, zeroline=False, side="top")
    figure.update_layout(
        margin_t=64, margin_b=10, legend_yref="container", legend_y=1, legend_yanchor="top"
    )
    return figure


def roofline_chart(profile: "NetworkProfile") -> "go.Figure":
    """Draw kernels under the roof that arithmetic and memory make; larger dots take longer."""
    import plotly.graph_objects as go

    figure = go.Figure()
    roofline = profile.roofline
    drawn = [one for one in profile.kernels if one.gflops]
    intensity = [(one.record.flops or 0) / one.num_bytes for one in drawn]
    low, high = min([0.1, *intensity]) / 2, max([100.0, *intensity]) * 2
    for number, level in enumerate(roofline.bandwidths):
        corner = roofline.gflops / level.gb_per_s
        xs = [low, min(corner, high), high] if corner < high else [low, high]
        figure.add_scatter(
            x=xs,
            y=[min(roofline.gflops, x * level.gb_per_s) for x in xs],
            mode="lines",
            line={"color": INK if number == 0 else GREY, "width": 1.5, "dash": _DASHES[number % 4]},
            name=f"{_bytes(level.num_bytes)}: {level.gb_per_s:.0f} GB/s",
            hoverinfo="skip",
        )
    largest = max((one.time_us for one in drawn), default=1.0)
    figure.add_scatter(
        x=intensity,
        y=[one.gflops for one in drawn],
        mode="markers",
        marker={
            "size": [
                max(SMALLEST_DOT, LARGEST_DOT * (one.time_us / largest) ** 0.5) for one in drawn
            ],
            "color": [COLOURS[one.record.origin] for one in drawn],
            "opacity": 0.72,
            "line": {"color": "white", "width": 1},
        },
        customdata=[
            f"<b>{one.position}  {one.record.kind}</b><br>{_details(one)}" for one in drawn
        ],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
    )
    figure.update_layout(**_layout(height=460))
    figure.update_xaxes(title="operations per byte", type="log", gridcolor=PALE, dtick=1)
    figure.update_yaxes(title="GFLOP/s", type="log", gridcolor=PALE, dtick=1)
    return figure


def composition_chart(profile: "NetworkProfile") -> "go.Figure":
    """Draw one bar with what the total is made of: kinds of kernels, the machine, the rest."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for number, (name, time_us) in enumerate(_slices(profile)):
        share = time_us / (profile.total.value * 1e3)
        figure.add_bar(
            x=[time_us],
            y=[""],
            orientation="h",
            name=f"{name} {share:.0%}",
            marker_color=PALE if name == BETWEEN[profile.executor] else SLICE_COLOURS[number],
            marker_line={"color": "white", "width": 1},
            hovertemplate=f"{name}: %{{x:.1f}} us, {share:.1%}<extra></extra>",
        )
    figure.update_layout(**_layout(height=150), barmode="stack")
    figure.update_layout(legend_traceorder="normal")
    figure.update_xaxes(title="microseconds", gridcolor=PALE, zeroline=False)
    figure.update_yaxes(visible=False)
    return figure


_DASHES = ("solid", "dash", "dashdot", "dot")


def _slices(profile: "NetworkProfile") -> list[tuple[str, float]]:
    """Return what the total is made of, the most first; small kinds are put together."""
    times: dict[str, float] = {}
    for one in profile.kernels:
        kind = one.record.kind.partition(" + ")[0]
        times[kind] = times.get(kind, 0.0) + one.time_us
    ordered = sorted(times.items(), key=lambda item: -item[1])
    small = sum(time_us for _, time_us in ordered[MAX_SLICES - 1 :])
    kept = ordered[: MAX_SLICES - 1] if len(ordered) > MAX_SLICES else ordered
    others = [("other kernels", small)] if len(ordered) > MAX_SLICES else []
    between = profile.total.value * 1e3 - profile.sum_us
    if between < 0:
        [together] = profile.parts_us
        return [(f"{together}, not to be told apart", profile.total.value * 1e3)]
    return [*kept, *others, (BETWEEN[profile.executor], between)]


def _layout(*, height: int) -> dict[str, Any]:
    return {
        "height": height,
        "margin": {"l": 10, "r": 20, "t": 40, "b": 45},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "font": {"family": FONT, "size": 12, "color": INK},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        "hoverlabel": {"bgcolor": "white", "font_size": 12, "align": "left"},
    }


def _name(kernel: "KernelTime") -> str:
    return f"{kernel.position}  {kernel.record.kind}"


def _details(kernel: "KernelTime") -> str:
    lines = [
        kernel.record.shape,
        f"{kernel.time_us:.2f} us +- {kernel.spread_us:.2f}, {kernel.share:.1%} of the total",
    ]
    if kernel.gflops:
        lines.append(f"{kernel.gflops:.1f} GFLOP/s")
    if kernel.roofline_share is None:
        lines.append("operations not known, nor its place under the roofline")
    else:
        lines.append(f"{kernel.roofline_share:.0%} of the roofline, bound by {kernel.bound_by}")
    return "<br>".join([*lines, f"schedule: {kernel.record.origin}"])


def _bytes(number: int) -> str:
    if number >= 1 << 20:
        return f"up to {number / (1 << 20):.0f} MiB"
    return f"up to {number / (1 << 10):.0f} KiB"
