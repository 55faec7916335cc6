"""A study of six runs through the process executor, two at a time: one JSON line an epoch of any run.

It is one turn of the driver: the whole study.
"""

import json
import resource
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from diascope_task import make_task
from gate import arguments

from diascope.study.executors import EpochDone
from diascope.study.executors.processes import ProcessExecutor

RUNS, JOBS = 6, 2


def main() -> None:
    told = arguments()
    sys.stdin.readline()
    with TemporaryDirectory() as folder:
        tasks = [
            make_task(
                Path(folder),
                lab=told.task,
                precision=told.precision,
                epochs=told.epochs,
                images=told.images,
                threads=1,
                seed=seed,
            )
            for seed in range(RUNS)
        ]
        started, epochs = perf_counter(), []
        for event in ProcessExecutor(JOBS, "cpu")(tasks):
            if isinstance(event, EpochDone) and event.epoch.epoch > 1:
                epochs.append(event.epoch.seconds)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    told_line = {"epochs": epochs, "jobs": JOBS, "runs": RUNS, "whole": perf_counter() - started, "peak_mib": peak}
    print(json.dumps(told_line), flush=True)


if __name__ == "__main__":
    main()
