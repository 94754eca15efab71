"""Where does the time of a network go: of a user's own, of a run's trained pick, of a candidate?"""

from dataclasses import dataclass
from pathlib import Path

from cmpc_base.cache import Cache
from cmpc_base.progress import SILENT, Observer
from cmpc_cost_models import Target
from cmpc_cost_models.compiling.options import CompileOrder
from cmpc_cost_models.profiling.profiler import Profiler
from cmpc_cost_models.profiling.records import NetworkProfile
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.timing.settings import MeasureSettings
from cmpc_search.errors import BadArgument, BadRun
from cmpc_search.runs import RunFolder, read_pick, reopen_run
from cmpc_search.stages.run_material import target_of
from cmpc_search.stages.trained_picks import trained_pick
from cmpc_search.study.loop import load_candidates
from cmpc_search.study.records import Candidate

__all__ = ["ChosenNetwork", "ProfileOrder", "ProfileResult", "network_of", "run_profiling"]

SPAN_SECONDS = 2.5  # of one round, or half of all the time where that is less


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileOrder:
    """What to profile, for what, and for how long.

    Attributes:
        model: An ONNX file, or the folder of a run.
        candidate: A trial of the run, with the weights of the supernet; else its trained pick.
        seed: Which trained pick; None is the first.
        target: None is that of the run; for a file it is this machine.
        max_seconds: How long one timing may take.
        rival: A runtime to time it in turn with.
    """

    model: Path
    cache_dir: Path
    candidate: int | None = None
    seed: int | None = None
    target: Target | None = None
    num_threads: int = 1
    max_seconds: float = 6.0
    rival: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenNetwork:
    """The network that is to be profiled.

    Attributes:
        what: What it is, in words; empty for a user's own file.
        run: The run it is of, if it is of one.
    """

    path: Path
    what: str = ""
    run: RunFolder | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileResult:
    """A profile, and of which network it is."""

    profile: NetworkProfile
    chosen: ChosenNetwork


def run_profiling(order: ProfileOrder, observer: Observer = SILENT) -> ProfileResult:
    """Compile the network as for every measurement, and time each of its kernels as it runs.

    Raises:
        BadArgument: the target can't run here, or candidate and seed don't go with the model.
        BadRun: the folder is no run, or it has no such network.
        ProfileFailed: it can't be compiled, gives a wrong answer or can't be timed.
    """
    chosen = network_of(order, observer)
    if chosen.what:
        observer.notice(f"profiling {chosen.what}")
    own_target = find_target("host") if chosen.run is None else target_of(chosen.run)
    max_seconds = order.max_seconds
    compile_order = CompileOrder(
        target=order.target or own_target,
        cache_dir=order.cache_dir,
        schedules_dir=Cache(order.cache_dir).schedules,
        num_threads=order.num_threads,
    )
    settings = MeasureSettings(
        max_seconds=max_seconds, span_seconds=min(SPAN_SECONDS, max_seconds / 2)
    )
    with Profiler(compile_order, settings) as profiler:
        profile = profiler.profile(chosen.path, rival=order.rival)
    return ProfileResult(profile=profile, chosen=chosen)


def network_of(order: ProfileOrder, observer: Observer = SILENT) -> ChosenNetwork:
    """Return the network that is meant: the model itself, or one of the run it is.

    Of a run that is its trained pick; with a candidate, or where none is trained, the candidate
    with the weights of the supernet.

    Raises:
        BadArgument: a candidate or a seed is asked for of what is no run, or both.
        BadRun: the folder is no run, or it has no such network.
    """
    model, candidate, seed = order.model, order.candidate, order.seed
    if not model.is_dir():
        if candidate is not None or seed is not None:
            raise BadArgument(
                f"`--candidate` and `--seed` go with a run, and {model} is a file; leave them out"
            )
        return ChosenNetwork(path=model)
    if candidate is not None and seed is not None:
        raise BadArgument("`--candidate` is not trained by itself, so `--seed` can't go with it")
    run = reopen_run(model)
    return _trained(run, seed) if candidate is None else _candidate(run, candidate, observer)


def _candidate(run: RunFolder, number: int, observer: Observer) -> ChosenNetwork:
    candidates = load_candidates(run.coordinator, on_notice=observer.notice)
    found = {one.number: one for one in candidates}
    if number not in found:
        raise BadRun(f"{run.path} must hold candidate {number}; it has {sorted(found)}")
    return _slice_of_supernet(run, found[number], "")


def _trained(run: RunFolder, seed: int | None) -> ChosenNetwork:
    """Return the trained pick of ``seed``, by default of the first; else the picked candidate."""
    picked = read_pick(run)
    try:
        chosen = trained_pick(run, seed)
    except BadRun:
        if seed is not None:
            raise
        return _slice_of_supernet(run, picked, "; no pick is trained yet")
    what = f"the trained pick, candidate {picked.number} with seed {chosen.seed}"
    return ChosenNetwork(path=chosen.onnx_path, what=what, run=run)


def _slice_of_supernet(run: RunFolder, chosen: Candidate, why: str) -> ChosenNetwork:
    path = run.candidates_path / f"{chosen.score.architecture}.onnx"
    if not path.is_file():
        raise BadRun(f"candidate {chosen.number} must have its network at {path}; search again")
    what = f"candidate {chosen.number} with the weights of the supernet{why}"
    return ChosenNetwork(path=path, what=what, run=run)
