"""A profile as one HTML page that needs nothing else: charts, a table, and the evidence.

The drawing library is written into the page, and a policy in its head forbids the browser to fetch
anything at all: it can be read on a train, and kept beside the numbers for years.
"""

import html
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from cmpc.reports.profile import percentiles_text, uncounted_text
from cmpc_base.files import replacing
from cmpc_base.printable import printable

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from cmpc_cost_models.profiling.records import KernelTime, NetworkProfile

__all__ = ["profile_page", "write_profile_page"]

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
COLUMNS = (  # head, what it means, n for numbers
    ("#", "Place in the network", "n"),
    ("kernel", "What it computes, and what it has taken in", ""),
    ("shape", "Window and stride, then height x width x channels", ""),
    ("time µs", "Median over undisturbed blocks, measured in the running network", "n"),
    ("share", "Of the total", "n"),
    ("GFLOP/s", "Counted operations over measured time", "n"),
    ("of roofline", "Least possible time over measured time", "n"),
    ("bound by", "What limits it at best", ""),
    ("schedule", "Where its loops come from", ""),
)


def write_profile_page(profile: "NetworkProfile", path: Path) -> None:
    """Write the page; whoever looks at ``path`` sees the old file or the whole new one."""
    with replacing(path) as file:
        file.write(printable(profile_page(profile)).encode())


def profile_page(profile: "NetworkProfile") -> str:
    """Return the page."""
    from plotly.offline import get_plotlyjs

    from cmpc.pictures.profile_charts import composition_chart, kernel_chart, roofline_chart

    title = f"{profile.network} on {profile.total.target}"
    return "\n".join(
        (
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_part('css')}</style><script>{get_plotlyjs()}</script></head><body><main>",
            f"<h1>{html.escape(profile.network)}</h1>",
            f'<p class="where">{html.escape(_where(profile))}</p>',
            _warning(profile),
            f'<div class="cards">{"".join(_cards(profile))}</div>',
            _section("What the time is made of", "", composition_chart(profile)),
            _section(
                "Each kernel, in the order they run",
                "The dark bar inside is the least time that the machine's limits allow.",
                kernel_chart(profile),
            ),
            _section(
                "Under the roof",
                "A dot is a kernel, larger ones take longer. Lines: peak arithmetic, and the "
                "bandwidth of memory that holds so much; both measured beside the network.",
                roofline_chart(profile),
            ),
            f"<h2>All kernels</h2>{_table(profile)}",
            f"<h2>Evidence</h2>{_evidence(profile)}",
            f"</main><script>{_part('js')}</script></body></html>",
        )
    )


def _part(kind: str) -> str:
    """Return the style or the script of the page, which lie beside this file."""
    return (files("cmpc.pictures") / f"profile_page.{kind}").read_text()


def _where(profile: "NetworkProfile") -> str:
    machine = profile.total.to_json()["machine"]
    shape = " x ".join(map(str, profile.input_shape))
    threads = f"{profile.num_threads} thread{'' if profile.num_threads == 1 else 's'}"
    return f"input {shape} · target {profile.total.target} · {threads} · {machine['cpu_model']}"


def _warning(profile: "NetworkProfile") -> str:
    if profile.is_stable:
        return ""
    reasons = [*profile.unstable_reasons]
    reasons += profile.comparison.unstable_reasons if profile.comparison else []
    items = "".join(f"<li>{html.escape(reason)}</li>" for reason in reasons)
    return f'<div class="warning"><b>These times may not be trusted.</b><ul>{items}</ul></div>'


def _cards(profile: "NetworkProfile") -> Iterator[str]:
    total = profile.total
    blocks = f"{total.estimator} of {total.count} blocks, {total.num_set_aside} set aside"
    spread = "" if total.spread is None else f"± {total.spread:.2g} ms, {blocks}"
    yield _card("latency, measured", f"{total.value:.4g} ms", spread)
    (first, time_us), *others = profile.parts_us.items()
    calls = ", ".join(f"{name} {one_us:.1f} µs" for name, one_us in others)
    share = f"{time_us / (total.value * 1e3):.1%}"
    yield _card(f"in {len(profile.kernels)} {first}", share, calls or "not to be told apart")
    if profile.gflops is None or profile.least_us is None:
        yield _card("GFLOP/s, roofline", "unknown", uncounted_text(profile))
    else:
        peak = f"of {profile.roofline.gflops:.1f} at peak, {profile.roofline.source}"
        yield _card("GFLOP/s", f"{profile.gflops:.1f}", peak)
        limit = f"limit {profile.least_us / 1e3:.4g} ms"
        yield _card("of the roofline", f"{profile.least_us / (total.value * 1e3):.0%}", limit)
    if (one := profile.comparison) is not None:
        times = f"± {one.ratio_spread:.2g}, {one.ours_ms:.3g} over {one.rival_ms:.3g} ms"
        yield _card(f"ours over {one.rival}'s", f"{one.ratio:.2f}", times)


def _card(name: str, value: str, note: str) -> str:
    return (
        f'<div class="card"><div class="name">{html.escape(name)}</div>'
        f'<div class="value">{html.escape(value)}</div>'
        f'<div class="note">{html.escape(note)}</div></div>'
    )


def _section(title: str, text: str, figure: "go.Figure") -> str:
    chart = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"displaylogo": False, "responsive": True, "displayModeBar": False},
    )
    note = f'<p class="note">{html.escape(text)}</p>' if text else ""
    return f"<h2>{html.escape(title)}</h2>{note}<div class='chart'>{chart}</div>"


def _table(profile: "NetworkProfile") -> str:
    head = "".join(
        f'<th class="{kind}" title="{html.escape(tip)}">{name}</th>' for name, tip, kind in COLUMNS
    )
    largest = max((one.share for one in profile.kernels), default=1.0)
    rows = "".join(_row(one, largest) for one in profile.kernels)
    return f'<table id="kernels"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(kernel: "KernelTime", largest_share: float) -> str:
    record = kernel.record
    bar = f"--part: {100 * kernel.share / largest_share:.1f}%"
    cells = (
        f"<td class='n'>{kernel.position}</td>",
        f"<td title='{html.escape(record.symbol)}'>{html.escape(record.kind)}</td>",
        f"<td>{html.escape(record.shape)}</td>",
        f"<td class='n' title='± {kernel.spread_us:.2f} µs'>{kernel.time_us:.2f}</td>",
        f"<td class='n bar' style='{bar}'>{kernel.share:.1%}</td>",
        f"<td class='n'>{_number(kernel.gflops, '.1f', is_known=record.flops is not None)}</td>",
        f"<td class='n'>{_number(kernel.roofline_share, '.0%', is_known=False)}</td>",
        f"<td>{kernel.bound_by or 'unknown'}</td>",
        f"<td><span class='tag {record.origin}'></span>{record.origin}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _number(value: float | None, form: str, *, is_known: bool) -> str:
    """Write a number; where there is none it is either known that there is none, or unknown."""
    if value is None:
        return "" if is_known else "unknown"
    return format(value, form)


def _evidence(profile: "NetworkProfile") -> str:
    total, machine = profile.total, profile.total.to_json()["machine"]
    facts: dict[str, object] = {
        "compiled network": f"sha256 {total.artefact_sha256}",
        "graph": f"sha256 {profile.graph_sha256}",
        "single inferences": percentiles_text(total),
        "drift": "not known" if total.drift is None else f"{total.drift:+.2%}",
        "not observed": ", ".join(total.not_observed) or "nothing",
        "pinned to processors": ", ".join(map(str, machine.get("cpus", ()))),
    }
    conditions = machine.get("conditions") or {}
    facts |= {name.replace("_", " "): value for name, value in conditions.items()}
    facts["versions"] = ", ".join(f"{name} {one}" for name, one in total.versions.items())
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(_told(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


def _told(value: object) -> str:
    """Write a fact; a pair is what was before and after."""
    if isinstance(value, list):
        return f"{_told(value[0])} before, {_told(value[1])} after"
    if value is None:
        return "not told by this system"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
