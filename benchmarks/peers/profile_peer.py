"""Where Diascope's step goes: PyTorch's profiler over 30 steps, as a table."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from diascope_task import make_task
from gate import arguments
from torch.profiler import ProfilerActivity, profile

from diascope.engine import run as engine
from diascope.engine.sides import Sides
from diascope.training.loop import train_step
from diascope.training.process import prepare_process

STEPS = 30


def main() -> None:
    told = arguments()
    prepare_process(told.threads)
    with TemporaryDirectory() as folder:
        task = make_task(
            Path(folder), lab=told.task, precision=told.precision, epochs=1, images=400, threads=told.threads, seed=0
        )
        device = torch.device("cpu")
        state = engine._new_state(task, device)
        batches = iter(Sides(task, device).training(0))
        state.model.train()
        for _ in range(5):
            train_step(state, *next(batches), told.precision)
        with profile(activities=[ProfilerActivity.CPU]) as found:
            for _ in range(STEPS):
                train_step(state, *next(batches), told.precision)
    print(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=16, max_name_column_width=45))


if __name__ == "__main__":
    main()
