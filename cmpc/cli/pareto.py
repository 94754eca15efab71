"""Which candidates of a run are worth having, and which one shall it be?"""

from dataclasses import dataclass
from pathlib import Path

import click

from cmpc.cli.options import FILE, filled, json_option, run_folder_argument

__all__ = ["pareto"]

POSITIVE = click.FloatRange(min=0, min_open=True, max=1e12)  # infinity is no limit


@dataclass(frozen=True, kw_only=True, slots=True)
class ParetoOptions:
    """What to show of a run's front, and what to pick from it."""

    run_folder: Path
    how: str | None
    budget_ms: float | None
    budget_mmacs: float | None
    picture: Path | None
    as_json: bool


@click.command()
@run_folder_argument
@click.option(
    "--pick",
    "how",
    help="Pick best (highest reward), fastest, knee, a share such as 97% (the cheapest that keeps "
    "so much of the best reward) or a trial's number.  "
    "[default: leave the pick, or the best if there is none yet]",
)
@click.option("--budget-ms", type=POSITIVE, help="Latency limit; else that of the search.")
@click.option("--budget-mmacs", type=POSITIVE, help="MMAC limit; else that of the search.")
@click.option(
    "--picture",
    type=FILE,
    help="Draw all candidates into this PNG.",
)
@json_option
@filled(ParetoOptions)
def pareto(options: ParetoOptions) -> None:
    """Show the front of a run and pick a candidate from it.

    The pick is kept in the run; `cmpc train` trains it. Without --pick the present one stays; the
    first look picks the best. Where finalists were trained, it is one of them. A latency marked *
    was unstable.

    \b
    Examples:
      cmpc pareto runs/emoji
      cmpc pareto runs/emoji --pick 97% --budget-mmacs 1.5
      cmpc pareto runs/emoji --pick knee --picture front.png
    """
    from cmpc.cli.output_files import PNG, check_output
    from cmpc.cli.publishing import publish
    from cmpc.output import say
    from cmpc.progress import TerminalObserver
    from cmpc.reports.front import front_image, pick_report
    from cmpc_search.stages.picking import PickOrder, run_pick

    if options.picture is not None:
        check_output("--picture", options.picture, PNG)
    order = PickOrder(
        run_folder=options.run_folder,
        how=options.how,
        budget_ms=options.budget_ms,
        budget_mmacs=options.budget_mmacs,
    )
    found = run_pick(order, TerminalObserver())
    if options.picture is not None:
        from cmpc.pictures import save_picture

        image = front_image(found.standing, found.picked, cost=found.cost, budget=found.budget)
        save_picture(image, options.picture)
        say(f"drew {options.picture}")
    publish(pick_report(found), as_json=options.as_json)
