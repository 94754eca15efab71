"""The command that looks at the machine before any work does."""

from collections import Counter
from pathlib import Path

import click

from cmpc.cli.options import cache_dir_option, json_option

__all__ = ["doctor"]

STYLES = {"ok": "green", "warning": "yellow", "fault": "bold red"}


@click.command()
@click.option("--quick", is_flag=True, help="Skip what takes seconds: asking TVM for its targets.")
@cache_dir_option
@json_option
def doctor(quick: bool, cache_dir: Path, as_json: bool) -> None:
    """Check that this machine has what cmpc needs.

    Each line says what was found and, where something is amiss, what to do. A warning names a
    part of cmpc that will not work here; a fault means that the main job will not, and the exit
    code is 1.

    \b
    Examples:
      cmpc doctor
      cmpc doctor --quick --json
    """
    from rich.text import Text

    from cmpc.cli.publishing import publish
    from cmpc.doctor import Machine, examine
    from cmpc.output import make_table
    from cmpc.reports.base import Report

    findings = examine(Machine.this(cache_dir), quick=quick)
    counts = Counter(finding.status for finding in findings)
    rows = [(Text(f.status, STYLES[f.status]), f.name, f.found, f.advice) for f in findings]
    report = Report(
        document={"num_faults": counts["fault"], "findings": findings},
        tables=(make_table(("", "check", "found", "what to do"), rows),),
        sentences=(f"faults: {counts['fault']}, warnings: {counts['warning']}",),
    )
    publish(report, as_json=as_json)
    click.get_current_context().exit(1 if counts["fault"] else 0)
