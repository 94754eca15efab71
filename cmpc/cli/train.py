"""What can the picked architecture learn when it has the weights to itself?"""

import click

from cmpc.cli.options import (
    cache_dir_option,
    config_option,
    json_option,
    moved_data_option,
    moved_gallery_option,
    resolve_settings,
    run_folder_argument,
    threads_option,
)

__all__ = ["train"]


@click.command()
@run_folder_argument
@moved_gallery_option
@moved_data_option
@click.option("--pick", "how", help="Pick anew: best, fastest, knee or a trial's number.")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many times to train, each with another seed.",
)
@click.option("--num-steps", "pick_num_steps", type=int, help="Updates of each training.")
@click.option("--control-steps", type=int, help="Updates of the control; 0 trains none.")
@threads_option
@config_option
@cache_dir_option
@json_option
@click.pass_context
def train(ctx: click.Context, /, **_: object) -> None:
    """Train the picked architecture on its own, from its supernet weights.

    Beside it a control of the same architecture is trained without the gallery: across networks
    it must be near chance. What is trained already is left as it is.

    \b
    Examples:
      cmpc train runs/emoji
      cmpc train runs/emoji --pick knee --seeds 3
    """
    from cmpc.output import emit, make_table
    from cmpc.progress import progress
    from cmpc_search.runs import read_pick, reopen_run, write_pick
    from cmpc_search.space import Architecture
    from cmpc_search.stages.inputs import load_run_inputs
    from cmpc_search.stages.picks import train_control, train_pick
    from cmpc_search.stages.settings import TrainSettings
    from cmpc_search.study import pick
    from cmpc_search.study.loop import load_candidates
    from cmpc_search.training.numerics import set_up_torch

    options = ctx.params
    settings = resolve_settings(ctx, TrainSettings, "train")
    set_up_torch(options["threads"])
    run = reopen_run(options["run_folder"])
    inputs = load_run_inputs(
        run,
        cache_dir=options["cache_dir"],
        gallery_path=options["gallery_path"],
        data=options["data_set"],
    )
    how = options["how"]
    if how is not None:
        study = inputs.settings.study
        picked = pick(load_candidates(run.study_path), how, cost=study.cost, budget=study.budget)
        write_pick(run, picked, how=how, cost=study.cost, budget=study.budget)
    architecture = Architecture.from_key(read_pick(run).score.architecture)
    with progress("Embedding views with the gallery network") as steps:
        bank = inputs.view_bank(steps)
    trained = []
    for seed in range(options["seeds"]):
        with progress(f"Training the pick, seed {seed}") as steps:
            trained.append(
                train_pick(run, inputs, bank, architecture, settings, seed=seed, progress=steps)
            )
    if settings.control_steps:
        with progress("Training the control") as steps:
            trained.append(train_control(run, inputs, bank, architecture, settings, progress=steps))
    names = [one.folder.name for one in trained]
    emit(
        {"run": run.path, "architecture": architecture.key, "trained": names},
        make_table(("trained", "folder"), [(one.folder.name, one.folder) for one in trained]),
        as_json=options["as_json"],
    )
