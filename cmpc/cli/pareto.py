"""Which candidates of a run are worth having, and which one shall it be?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.options import FILE, json_option, run_folder_argument

if TYPE_CHECKING:
    from cmpc_search.study import Candidate

__all__ = ["pareto"]

FIRST_PICK = "best"
POSITIVE = click.FloatRange(min=0, min_open=True, max=1e12)  # infinity is no limit


@click.command()
@run_folder_argument
@click.option(
    "--pick",
    "how",
    help="Pick best (highest reward), fastest, knee or a trial's number.  "
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
def pareto(
    run_folder: Path,
    how: str | None,
    budget_ms: float | None,
    budget_mmacs: float | None,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Show the front of a run and pick a candidate from it.

    The pick is kept in the run; `cmpc train` trains it. Without --pick the present one stays; the
    first look picks the best. A latency marked * was unstable.

    \b
    Examples:
      cmpc pareto runs/emoji
      cmpc pareto runs/emoji --pick knee --picture front.png
    """
    from cmpc.cli.output_files import PNG, check_output
    from cmpc.output import emit, say
    from cmpc.reports import front_document, front_image, front_table
    from cmpc_search.runs import read_pick, reopen_run, write_pick
    from cmpc_search.stages.material import search_settings_of
    from cmpc_search.study import pareto_front, pick
    from cmpc_search.study.loop import load_candidates

    if picture is not None:
        check_output("--picture", picture, PNG)
    run = reopen_run(run_folder)
    settings = search_settings_of(run)
    limits = {"budget_ms": budget_ms, "budget_mmacs": budget_mmacs}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    budget = settings.model_copy(update=given).budget
    candidates = load_candidates(run.study_path, on_notice=say)
    front = pareto_front(candidates, cost=settings.cost, budget=budget)
    proposed = pick(candidates, how or FIRST_PICK, cost=settings.cost, budget=budget)
    picked = read_pick(run) if run.pick_path.exists() else None
    if how is not None or picked is None:
        how, picked = how or FIRST_PICK, proposed
        write_pick(run, picked, how=how, cost=settings.cost, budget=budget)
    if picture is not None:
        from cmpc.pictures import save_picture

        save_picture(front_image(candidates, picked, cost=settings.cost, budget=budget), picture)
        say(f"drew {picture}")
    document = front_document(run, front) | {"pick": picked.number}
    emit(document, front_table(front), as_json=as_json)
    say(told(picked, proposed, how))


def told(picked: "Candidate", proposed: "Candidate", how: str | None) -> str:
    """Say which candidate is the pick, and whether a better one is there."""
    name = f"trial {picked.number}: {picked.score.architecture}"
    if how is not None:
        return f"picked ({how}) {name}"
    if proposed.number == picked.number:
        return f"the pick is {name}"
    return f"the pick is {name}; the best is now trial {proposed.number}, --pick best takes it"
