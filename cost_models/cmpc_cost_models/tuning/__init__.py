"""Search the schedules of kernels by measuring them, and answer from what was measured.

    networks --tasks--> workloads --strategy--> schedules --runner, worker--> times --> database
    compile_network <-- schedule <-- source: record, similar record, rule <------------/

TVM's MetaSchedule has the same parts under the same names (builder, runner, database, search
strategy, task scheduler). Its search over plain loops is slower and ends slower than kernels whose
loop nest is known; so what is searched here are the free choices of our own kernels.
"""
