"""Search the schedules of kernels by measuring them, and answer from what was measured.

    networks --tasks--> workloads --strategy--> schedules --runner, worker--> times --> database
    compile_network <-- schedule <-- source: record, similar record, rule <------------/

TVM's MetaSchedule has the same parts under the same names (builder, runner, database, search
strategy, task scheduler). Its search over plain loops is slower and ends slower than kernels whose
loop nest is known; so what is searched here are the free choices of our own kernels.
"""

from cmpc_cost_models.schedules.database import ScheduleDatabase, database_path
from cmpc_cost_models.schedules.records import TuningRecord
from cmpc_cost_models.schedules.source import TunedSchedules, open_schedules
from cmpc_cost_models.tuning.runner import KernelRunner
from cmpc_cost_models.tuning.tasks import TuningTask, extract_tasks
from cmpc_cost_models.tuning.tuner import TaskReport, TuneProgress, TuneSettings, tune

__all__ = [
    "KernelRunner",
    "ScheduleDatabase",
    "TaskReport",
    "TuneProgress",
    "TuneSettings",
    "TunedSchedules",
    "TuningRecord",
    "TuningTask",
    "database_path",
    "extract_tasks",
    "open_schedules",
    "tune",
]
