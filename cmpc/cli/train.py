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
    help="How many times to train, each from views and a supernet of its own.",
)
@click.option(
    "--new-galleries",
    is_flag=True,
    help="Train a new gallery network for each seed after the first, as the run's was trained.",
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

    Seed 0 starts from the supernet of the search. Each other seed repeats the training from views
    and a supernet of its own; with --new-galleries also from a gallery network of its own, which is
    kept in the run. They tell how much a result owes to one training; `cmpc build` ships those that
    fit the run's own gallery. What is trained already is left as it is, and after a kill the
    command goes on with the part that was at work.

    Beside it a control of the same architecture is trained without the gallery. It is a check and
    no baseline: across networks it must be near chance.

    \b
    Examples:
      cmpc train runs/emoji
      cmpc train runs/emoji --pick knee --seeds 3
      cmpc train runs/emoji --seeds 3 --new-galleries
    """
    from cmpc.output import emit, make_table, say
    from cmpc.progress import progress
    from cmpc_base.locks import exclusive
    from cmpc_search.runs import reopen_run, write_pick
    from cmpc_search.stages.material import load_run_material
    from cmpc_search.stages.picks import picked_architecture
    from cmpc_search.stages.seeds import Seed, check_new_galleries
    from cmpc_search.stages.settings import TrainSettings
    from cmpc_search.stages.training import train_control_of_run, train_seed
    from cmpc_search.study import pick
    from cmpc_search.study.loop import load_candidates
    from cmpc_search.training.compute import set_up_torch

    options = ctx.params
    settings = resolve_settings(TrainSettings, "train", options["toml_path"])
    set_up_torch(options["threads"])
    run = reopen_run(options["run_folder"])
    material = load_run_material(
        run,
        cache_dir=options["cache_dir"],
        gallery_path=options["gallery_path"],
        data=options["data_set"],
    )
    if options["new_galleries"]:
        check_new_galleries(material.gallery)
    how = options["how"]
    with exclusive(run.path / "train.lock", doing=f"trains in {run.path}", on_wait=say):
        if how is not None:
            study = material.settings.study
            candidates = load_candidates(run.study_path, on_notice=say)
            picked = pick(candidates, how, cost=study.cost, budget=study.budget)
            write_pick(run, picked, how=how, cost=study.cost, budget=study.budget)
        architecture = picked_architecture(run)
        trained = []
        for number in range(options["seeds"]):
            seed = Seed(number=number, has_new_gallery=options["new_galleries"] and number > 0)
            trained.append(train_seed(run, material, architecture, settings, seed, progress))
        if settings.control_steps:
            trained.append(train_control_of_run(run, material, architecture, settings, progress))
    names = [one.folder.name for one in trained]
    emit(
        {"run": run.path, "architecture": architecture.key, "trained": names},
        make_table(("trained", "folder"), [(one.folder.name, one.folder) for one in trained]),
        as_json=options["as_json"],
    )
