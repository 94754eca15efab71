"""How the accuracies of an evaluation read, and in a few sentences what they mean."""

from typing import TYPE_CHECKING

from cmpc.output import make_table

if TYPE_CHECKING:
    from rich.table import Table

    from cmpc_search.evaluation.judgement import Flips, Judgement, PairAccuracy, SeedAccuracy
    from cmpc_search.evaluation.statistics import Estimate
    from cmpc_search.runs.evaluation import Evaluation, OtherData
    from cmpc_search.runs.evidence import Evidence

__all__ = ["accuracy_table", "percent", "points", "protocol_table", "test_title", "verdict"]

NUM_NAMED = 5  # classes; the document has them all

TEST_CLASSES = {
    "unseen": "unseen classes",
    "closed set": "closed set: classes also in training",
    "seen by the gallery network": "classes that the classifier of the gallery network (your own) "
    "names, so it saw them",
    "unknown": "classes that cmpc did not train on; what the gallery network (your own) saw is "
    "not known",
    "seen in other data": "some of them classes that the networks were trained on",
}
"""Words for each value of `cmpc_search.runs.evaluation.SeenClasses`."""


def accuracy_table(found: "Evaluation") -> "Table":
    """Show what a run is worth on its test classes."""
    where = "" if found.other_data is None else f" of {found.other_data.name}"
    return make_table(
        (f"on test classes{where}", "top-1", "top-10", "mAP"),
        _rows(found.judgement),
        title=test_title(found),
    )


def protocol_table(found: "Evaluation") -> "Table | None":
    """Show the numbers of a protocol that `accuracy_table` doesn't have; None without any."""
    if found.protocol == "open-set" or not found.metrics:
        return None
    names = list(found.metrics[0].paragon)
    rows = [
        (f"{pair}, seed {one.seed}", *(f"{getattr(one, pair)[name]:.3f}" for name in names))
        for one in found.metrics
        for pair in ("paragon", "homogeneous", "heterogeneous")
    ]
    return make_table((found.protocol, *names), rows)


def verdict(found: "Evaluation") -> list[str]:
    """Say in a sentence each what the numbers mean."""
    judgement = found.judgement
    kept = "nothing" if judgement.kept_share is None else percent(judgement.kept_share)
    seeds = len(judgement.seeds)
    over = f"over {judgement.num_queries} queries" + (f", mean of {seeds} seeds" * (seeds > 1))
    sentences = [
        f"The query network keeps {kept} of the paragon's top-1 ({over}).",
        f"The rule M(q,g) > M(q,q) in top-1 {_rule(judgement)}: "
        f"the difference is {points(judgement.advantage)} points ({over}).",
    ]
    if found.chance_check is not None:
        sentences.append(
            "A check that chance stays chance, no baseline: the same architecture, trained without "
            f"the gallery, finds {percent(found.chance_check.top1)} across networks; "
            f"chance is {found.queries.chance_top1:.1%}."
        )
    other = [] if found.other_data is None else [_other_data_sentence(found.other_data)]
    return [*other, *sentences, *map(_flips_sentence, judgement.flips)]


def _other_data_sentence(other: "OtherData") -> str:
    seen = other.seen_class_names
    named = ", ".join(seen[:NUM_NAMED]) + (" and others" if len(seen) > NUM_NAMED else "")
    return (
        f"Judged on {other.name}, which the run was not searched on; of its {other.num_classes} "
        f"test classes {len(seen)} are known to have trained the networks"
        + (f": {named}." if seen else ".")
    )


def _flips_sentence(flips: "Flips") -> str:
    return (
        f"Seed {flips.seed} misses {flips.negative} queries that the gallery network alone answers "
        f"(negative flips), and answers {flips.positive} that it misses."
    )


def _rule(judgement: "Judgement") -> str:
    from cmpc_search.evaluation.judgement import MIN_QUERIES_TO_JUDGE

    if judgement.num_queries < MIN_QUERIES_TO_JUDGE:
        return f"{judgement.rule} from fewer than {MIN_QUERIES_TO_JUDGE} queries"
    return judgement.rule


def test_title(found: "Evaluation | Evidence") -> str:
    """Say what was asked, and what the networks knew of it."""
    queries = found.queries
    kind = TEST_CLASSES[found.seen_classes]
    title = (
        f"{queries.num_queries} queries of {queries.num_classes} classes ({kind}), "
        "with 95% intervals over queries"
    )
    if queries.num_excluded:
        title += (
            f"; {queries.num_excluded} other queries, of {queries.num_excluded_classes} classes "
            "without a gallery image, have nothing to find and are not scored"
        )
    return title


def _rows(judgement: "Judgement") -> list[tuple[object, ...]]:
    seeds = judgement.seeds
    has_one_paragon = all(one.paragon == seeds[0].paragon for one in seeds)
    rows = [_row("paragon M(g,g)", seeds[0].paragon)] if has_one_paragon else []
    for one in seeds:
        of_seed = f", seed {one.seed}," if len(seeds) > 1 else ""
        rows += _seed_rows(one, of_seed, with_paragon=not has_one_paragon)
    if len(seeds) > 1:
        rows += _seed_rows(judgement.mean, ", mean,", with_paragon=not has_one_paragon)
    return rows


def _seed_rows(
    found: "SeedAccuracy", of_seed: str, *, with_paragon: bool
) -> list[tuple[object, ...]]:
    return [
        *([_row(f"paragon{of_seed} M(g,g)", found.paragon)] if with_paragon else []),
        _row(f"query network{of_seed} M(q,q)", found.homogeneous),
        _row(f"query network{of_seed} M(q,g)", found.heterogeneous),
    ]


def _row(name: str, pair: "PairAccuracy") -> tuple[object, ...]:
    metrics = (pair.top1, pair.top10, pair.mean_average_precision)
    return (name, *(f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" for one in metrics))


def percent(share: "Estimate") -> str:
    """Write a share with its interval."""
    return f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}]"


def points(difference: "Estimate") -> str:
    """Write a difference of shares with its interval, in points."""
    value, low, high = (100 * one for one in (difference.value, difference.low, difference.high))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"
