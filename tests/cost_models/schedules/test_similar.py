"""Schedules lent to workloads that were never measured, for any shape."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from cmpc_cost_models.plans.maps import Map, View
from cmpc_cost_models.plans.specs import RELU, Affine, Convolution, Window
from cmpc_cost_models.schedules.database import ScheduleDatabase
from cmpc_cost_models.schedules.records import TuningRecord
from cmpc_cost_models.schedules.rules import is_valid, rule_schedule, schedule_space
from cmpc_cost_models.schedules.similar import features_of, refit
from cmpc_cost_models.schedules.source import TunedSchedules
from cmpc_cost_models.schedules.workload import Workload, read_workload
from cmpc_cost_models.targets.table import find_target

TARGET = find_target("x86-64-v3")


def convolution(*, channels=(32, 64), size=14, taps=1, groups=1, border=0, kept=None):
    read, written = channels
    source = Map(height=size, width=size, channels=read, border=max(border, taps // 2))
    target = Map(height=size, width=size, channels=written + (kept or 0), border=border)
    beside = kept and View.whole(Map(height=size, width=size, channels=kept))
    return Convolution(
        source=View.whole(source),
        target=target,
        window=Window(kernel=(taps, taps), pads=(taps // 2, taps // 2)),
        groups=groups,
        kept=beside,
        activation=RELU,
    )


def workload(spec, *, num_threads=1, target=TARGET):
    return Workload.of(spec, target, num_threads=num_threads)


@st.composite
def workloads(draw):
    channels = draw(st.integers(1, 70))
    is_depthwise = draw(st.booleans())
    spec = convolution(
        channels=(channels, channels if is_depthwise else draw(st.integers(1, 70))),
        size=draw(st.integers(1, 30)),
        taps=draw(st.sampled_from([1, 3, 5])),
        groups=channels if is_depthwise else 1,
        border=draw(st.integers(0, 2)),
        kept=draw(st.none() | st.integers(1, 9)),
    )
    target = find_target(draw(st.sampled_from(["x86-64-v3", "x86-64-v4", "cortex-a72"])))
    return workload(spec, num_threads=draw(st.integers(1, 2)), target=target)


@settings(max_examples=60)
@given(tuned=workloads(), asked=workloads(), data=st.data())
def test_a_schedule_fits_wherever_it_is_lent(tuned, asked, data):
    lent = data.draw(st.sampled_from(list(schedule_space(tuned))))

    assert is_valid(refit(lent, asked), asked)
    assert refit(lent, tuned) == lent


@given(one=workloads())
def test_a_workload_is_read_back_from_its_key(one):
    assert read_workload(one.key) == one


def test_what_lies_around_a_map_makes_no_distance_and_a_size_does():
    plain = features_of(workload(convolution()))

    assert plain.distance(features_of(workload(convolution(border=2, kept=16)))) == 0.0
    assert plain.distance(features_of(workload(convolution(channels=(32, 128))))) == 1.0
    assert plain.distance(features_of(workload(convolution(size=7)))) > 1.0
    for other in (
        workload(convolution(), num_threads=2),
        workload(convolution(), target=find_target("x86-64-v4")),
        workload(convolution(channels=(32, 32), groups=32)),
        workload(Affine(source=plain_view(), target=plain_view().map)),
    ):
        assert plain.distance(features_of(other)) == float("inf")


def plain_view():
    return View.whole(Map(height=14, width=14, channels=32))


def keep(database, tuned, *, best_us, cpu_model=""):
    """Keep that the last schedule of the space takes so long, and the rule 10 us."""
    schedule = list(schedule_space(tuned))[-1]
    record = TuningRecord(
        workload_key=tuned.key,
        cpu_model=cpu_model,
        schedule=schedule,
        median_us=best_us,
        rule_us=10.0,
    )
    database.commit_workload(tuned.key, features_of(tuned).to_text())
    database.commit([record], best=schedule)
    return schedule


def test_a_record_comes_first_then_a_similar_one_then_the_rule(tmp_path):
    tuned = workload(convolution())
    near, far = (workload(convolution(channels=(32, out))) for out in (96, 512))
    with ScheduleDatabase.open(tmp_path, TARGET) as database:
        schedule = keep(database, tuned, best_us=5.0)
        source = TunedSchedules(database)
        state = database.state_sha256()

    assert source.find(tuned) == (schedule, "record")
    assert source.find(near) == (refit(schedule, near), "similar")
    assert source.find(far) == (rule_schedule(far), "rule")
    assert source.state_sha256() == state


def test_nothing_is_lent_where_the_rule_was_as_good(tmp_path):
    tuned = workload(convolution())
    near = workload(replace(convolution(), activation=None))
    with ScheduleDatabase.open(tmp_path, TARGET) as database:
        keep(database, tuned, best_us=9.99)
        # A better neighbour further away must not lend in its place.
        keep(database, workload(convolution(channels=(32, 96))), best_us=5.0)
        source = TunedSchedules(database)

    assert source.find(near) == (rule_schedule(near), "rule")


def test_what_was_timed_on_another_processor_is_a_hint_and_no_record(tmp_path):
    tuned = workload(convolution())
    with ScheduleDatabase.open(tmp_path, TARGET) as database:
        schedule = keep(database, tuned, best_us=5.0, cpu_model="an old one")
        sources = [TunedSchedules(database, name) for name in ("an old one", "a new one", None)]

    old, new, unknown = (source.find(tuned) for source in sources)
    assert old == unknown == (schedule, "record")
    assert new == (schedule, "similar")
    states = [source.state_sha256() for source in sources]
    assert states[0] == states[2] != states[1]


def test_a_hint_of_another_processor_does_not_pay_where_it_won_nothing(tmp_path):
    tuned = workload(convolution())
    with ScheduleDatabase.open(tmp_path, TARGET) as database:
        keep(database, tuned, best_us=9.99, cpu_model="an old one")
        source = TunedSchedules(database, "a new one")

    assert source.find(tuned) == (rule_schedule(tuned), "rule")


def test_of_equally_near_workloads_the_one_timed_on_this_processor_counts(tmp_path):
    tuned = workload(convolution())
    near = workload(replace(convolution(), activation=None))
    with ScheduleDatabase.open(tmp_path, TARGET) as database:
        keep(database, tuned, best_us=5.0, cpu_model="an old one")
        keep(database, tuned, best_us=9.99, cpu_model="a new one")
        source = TunedSchedules(database, "a new one")

    assert source.find(near) == (rule_schedule(near), "rule")
