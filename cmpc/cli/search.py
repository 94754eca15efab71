"""Which query network is worth its cost? The command that cmpc is about."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.names import COSTS, METHODS, REWARDS, SAMPLERS, SPACES, NameChoice
from cmpc.cli.options import (
    FOLDER,
    cache_dir_option,
    config_option,
    device_option,
    json_option,
    resolve_settings,
    run_folder_argument,
    threads_option,
)

if TYPE_CHECKING:
    from cmpc_cost_models.models.catalogue import AnyMeter
    from cmpc_search.networks.supernet import Supernet
    from cmpc_search.runs import RunFolder
    from cmpc_search.stages.material import SearchMaterial
    from cmpc_search.stages.settings import SearchSettings
    from cmpc_search.study import StudySummary, TrialProgress

__all__ = ["search"]


@click.command()
@run_folder_argument
@click.option(
    "--gallery",
    "gallery_path",
    type=FOLDER,
    required=True,
    help="A folder made by `cmpc gallery`.",
)
@click.option("--data", metavar="NAME|PATH", help="Data set.  [default: that of the gallery]")
@click.option("--target", metavar="NAME", help="What to compile for.  [default: host]")
@device_option
@click.option("--space", type=NameChoice(SPACES), help="Search space.  [default: small]")
@click.option(
    "--method",
    type=NameChoice(METHODS),
    help="Compatibility method.  [default: bct-regression]",
)
@click.option(
    "--reward",
    type=NameChoice(REWARDS),
    help="R1, R2 or R3 of CMP-NAS.  [default: product]",
)
@click.option(
    "--cost",
    type=NameChoice(COSTS),
    help="Latency is measured or predicted, MACs are counted.  [default: latency]",
)
@click.option(
    "--sampler",
    type=NameChoice(SAMPLERS),
    help="Who proposes candidates.  [default: nsga2]",
)
@click.option("--trials", type=int, help="Candidates to score in all.  [default: 48]")
@click.option("--budget-ms", type=float, help="Latency limit in milliseconds.")
@click.option("--budget-mmacs", type=float, help="Limit in million multiply-accumulates.")
@click.option("--seed", type=int, help="Seed of everything drawn at random.  [default: 0]")
@threads_option
@click.option("--fresh", is_flag=True, help="Begin again; the old run is kept aside.")
@config_option
@cache_dir_option
@json_option
@click.pass_context
def search(ctx: click.Context, /, **_: object) -> None:
    """Search query networks that fit a gallery, and measure each on the target.

    Trains a supernet against the frozen gallery network, then lets Optuna propose architectures:
    each is scored on validation classes, compiled through TVM and timed. Run again on the same
    RUN, it goes on where it stopped, even after a kill. A latency marked * was unstable; if one is
    on the front, all is kept and the exit code is 3.

    For a target that this machine can't run, latencies are predicted, and marked so wherever they
    show; with --device they are measured there. A candidate with an operator that has no prediction
    is kept as one of unknown cost; where all are, the exit code is 3.

    \b
    Examples:
      cmpc search runs/emoji --gallery galleries/emoji --target host --budget-mmacs 2.6
      cmpc search runs/faces --gallery galleries/faces --data faces.csv --cost macs
      cmpc search runs/board --gallery galleries/emoji --target arm
      cmpc search runs/board --gallery galleries/emoji --target arm --device rpc://board:9090
    """
    from cmpc.cli.trust import trust_or_raise
    from cmpc.output import emit, say
    from cmpc.progress import progress
    from cmpc.reports import front_document, front_table, unstable_trials
    from cmpc.settings.targets import named_target
    from cmpc_cost_models.targets.device import Device
    from cmpc_search.runs import RunFolder, note_session, open_run, write_front, write_trials
    from cmpc_search.stages.material import load_material, place_facts, target_facts
    from cmpc_search.stages.measuring import make_meter
    from cmpc_search.stages.scoring import CandidateScorer
    from cmpc_search.stages.settings import FREE_SETTINGS, SearchSettings, as_of_today
    from cmpc_search.study import pareto_front, pick
    from cmpc_search.study.loop import run_study
    from cmpc_search.training.compute import set_up_torch

    options = ctx.params
    settings = with_data(resolve_settings(ctx, SearchSettings, "search"), options["gallery_path"])
    set_up_torch(options["threads"])
    with progress(f"Preparing {settings.data}") as steps:
        material = load_material(
            settings, options["gallery_path"], cache_dir=options["cache_dir"], progress=steps
        )
    check_feasible(material)
    say(material.note_on_validation())
    target = named_target(settings.target, options["toml_path"])
    new_meter = partial(
        make_meter,
        RunFolder(options["run_folder"]),
        target,
        None if settings.device is None else Device.named(settings.device),
        cache_dir=options["cache_dir"],
        is_brief=True,
    )
    if settings.needs_latency:
        check_meter(new_meter())
    run = open_run(
        options["run_folder"],
        settings=settings.model_dump(mode="json"),
        inputs=material.hashes() | place_facts(options["gallery_path"]) | target_facts(target),
        free=FREE_SETTINGS,
        meaning=as_of_today,
        fresh=options["fresh"],
    )
    note_session(run, sys.argv)
    supernet = obtain_supernet(run, material)
    with ExitStack() as stack:
        meter = None
        if settings.needs_latency:
            meter = new_meter()
            stack.enter_context(meter)
        scorer = CandidateScorer(supernet, material, meter, folder=run.candidates_path)
        with progress("Searching", total=settings.trials) as steps:
            summary = run_study(
                scorer,
                material.space,
                settings.study,
                storage_path=run.study_path,
                on_trial=lambda trial: steps.reach(trial.finished, note=described(trial)),
                on_notice=steps.say,
            )
    write_trials(run, summary.candidates, budget=settings.budget)
    front = pareto_front(summary.candidates, cost=settings.cost, budget=settings.budget)
    write_front(run, front, cost=settings.cost, budget=settings.budget)
    counts = summary.counts
    for line in told(summary, len(front)):
        say(line)
    document = front_document(run, front, counts) | {
        "validation": material.image_set.counts()["validation"]
    }
    emit(document, front_table(front), as_json=options["as_json"])
    if front or not counts.running:
        # Raises if none will do, which is not known while others are at work.
        pick(summary.candidates, cost=settings.cost, budget=settings.budget)
    trust_or_raise(unstable_trials(front))


def with_data(settings: "SearchSettings", gallery_path: Path) -> "SearchSettings":
    """Return the settings with the gallery's own data where nobody named other ones.

    Raises:
        UsageError: the gallery doesn't know of any.
    """
    if "data" in settings.model_fields_set:
        return settings
    from cmpc.output import say
    from cmpc_search.gallery import open_gallery

    data = open_gallery(gallery_path).data
    if data is None:
        raise click.UsageError(
            f"the data set must be named with --data: {gallery_path} was not trained by cmpc, and "
            "doesn't tell"
        )
    say(f"searching on the data of the gallery: {data}")
    return type(settings).model_validate(settings.model_dump() | {"data": data})


def check_feasible(material: "SearchMaterial") -> None:
    """Let fail here what would fail after hours of training, or bind a run.

    Raises:
        UnknownName: no method has this name.
        BudgetNotMet: the smallest architecture takes more than the budget in MACs.
    """
    from cmpc_search.compatibility import make_method
    from cmpc_search.errors import BudgetNotMet

    make_method(material.settings.method, material.directions)
    limit, space = material.settings.budget.macs, material.space
    least = space.macs(space.smallest())
    if limit is not None and least > limit:
        raise BudgetNotMet(
            f"an architecture must stay within {limit} MACs; the smallest of space "
            f"{space.name!r} takes {least}: raise the budget or take a smaller space"
        )


def check_meter(meter: "AnyMeter") -> None:
    """Say what the latencies will be worth, and reach the device before anything is trained.

    Raises:
        DeviceUnreachable: it does not answer.
    """
    from cmpc.output import say
    from cmpc.reports import note_on_costs

    if note := note_on_costs(meter):
        say(note)
    with meter:
        pass  # its session is short: training may take hours, and others want the device


def obtain_supernet(run: "RunFolder", material: "SearchMaterial") -> "Supernet":
    """Load the supernet of a run, or train it with progress shown; one process trains."""
    from cmpc.output import say
    from cmpc.progress import progress
    from cmpc_base.locks import exclusive
    from cmpc_search.stages.supernet import has_supernet, load_supernet, make_supernet

    doing = f"trains the supernet of {run.path}"
    with exclusive(run.supernet_path / "training.lock", doing=doing, on_wait=say):
        if has_supernet(run):
            return load_supernet(run, material)
        with progress("Embedding views with the gallery network") as steps:
            bank = material.view_bank(steps)
        with progress("Training the supernet") as steps:
            return make_supernet(run, material, bank, progress=steps)


def described(trial: "TrialProgress") -> str:
    """Tell in a few words what came of a candidate."""
    score = trial.candidate.score
    if score.error is not None:
        return f"failed: {score.error}"
    if score.unknown_reasons:
        return f"its cost is not known: {'; '.join(score.unknown_reasons)}"
    cost = f"{score.macs} MACs"
    if score.latency is not None:
        cost = f"{score.latency_ms:.3f} ms {score.latency['source']}"
    best = "" if trial.best_reward is None else f", best {trial.best_reward:.3f}"
    return f"{score.reward_name} {score.reward:.3f} at {cost}{best}"


def told(summary: "StudySummary", num_on_front: int) -> Iterator[str]:
    """Yield what is to be said of a search when this process has nothing more to do."""
    counts = summary.counts
    if summary.stopped_early:
        yield summary.stopped_early
    yield (
        f"{counts.finished} candidates: {counts.feasible} within the budget, {counts.failed} "
        f"failed, {counts.unknown} of unknown cost; {num_on_front} on the front"
    )
    scores = [one.score for one in summary.candidates if one.is_scored]
    rewards = [score.reward for score in scores if score.reward is not None]
    if len(rewards) > 1 and len(set(rewards)) == 1:
        yield (
            f"all {len(rewards)} candidates have a reward of {rewards[0]:.4g}: it can't tell them "
            "apart, so the cheapest leads; validate on more classes and images"
        )
    if counts.reused or counts.over_budget:
        yield (
            f"drawn again before they were scored: {counts.reused} proposals that were known "
            f"and {counts.over_budget} over the budget in MACs"
        )
    if counts.running:
        yield (
            f"other processes are at work on {counts.running} candidates, and this is the front "
            "without them: `cmpc search` once more, or `cmpc pareto`, shows all when they are done"
        )
