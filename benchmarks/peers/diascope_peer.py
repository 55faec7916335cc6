"""One Diascope run through its engine: run folder, checkpoints and training scores in evaluation mode included."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from diascope_task import make_task
from gate import Gate, arguments

from diascope.engine import execute
from diascope.training import loop


def main() -> None:
    told = arguments()
    gate = Gate()
    whole_epoch = loop.train_epoch

    def timed_epoch(*given, **named):
        found = whole_epoch(*given, **named)
        gate.training_ends()
        return found

    loop.train_epoch = timed_epoch
    with TemporaryDirectory() as folder:
        task = make_task(
            Path(folder),
            lab=told.task,
            precision=told.precision,
            epochs=told.epochs,
            images=told.images,
            threads=told.threads,
            seed=0,
        )
        torch.set_num_threads(told.threads)
        gate.wait()
        for epoch in execute(task, device="cpu"):
            gate.epoch_ends()
            if epoch.epoch < told.epochs:
                gate.wait()


if __name__ == "__main__":
    main()
