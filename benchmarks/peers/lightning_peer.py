"""PyTorch Lightning as its documentation writes it: a module, a Trainer, data loaders."""

import logging
import warnings

import lightning
import torch
from gate import BATCH, LEARNING_RATE, Gate, arguments, pixels
from network import network
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader, TensorDataset


class Classifier(lightning.LightningModule):
    def __init__(self, batch_norm: bool) -> None:
        super().__init__()
        self.network = network(batch_norm)

    def _step(self, batch, name: str) -> torch.Tensor:
        images, targets = batch
        logits = self.network(images)
        loss = binary_cross_entropy_with_logits(logits, targets)
        accuracy = ((logits > 0) == (targets > 0.5)).float().mean()
        self.log_dict({f"{name}_loss": loss, f"{name}_accuracy": accuracy}, on_step=False, on_epoch=True)
        return loss

    def training_step(self, batch, _) -> torch.Tensor:
        return self._step(batch, "training")

    def validation_step(self, batch, _) -> None:
        self._step(batch, "validation")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), LEARNING_RATE)


class Turns(lightning.Callback):
    def __init__(self) -> None:
        self.gate = Gate()

    def on_train_epoch_start(self, *_) -> None:
        self.gate.wait()

    def on_validation_start(self, *_) -> None:
        self.gate.training_ends()

    def on_train_epoch_end(self, *_) -> None:
        self.gate.epoch_ends()


def main() -> None:
    told = arguments()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(told.threads)
    images, labels = pixels(told.images)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous() / 255
    y = torch.from_numpy(labels).float().unsqueeze(1)
    n = told.images
    training = DataLoader(TensorDataset(x[:n], y[:n]), batch_size=BATCH, shuffle=True)
    validation = DataLoader(TensorDataset(x[n:], y[n:]), batch_size=BATCH)
    trainer = lightning.Trainer(
        max_epochs=told.epochs,
        accelerator="cpu",
        precision="bf16-mixed" if told.precision == "bf16" else "32-true",
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
        callbacks=[Turns()],
    )
    trainer.fit(Classifier(told.task == "lab-1b"), training, validation)


if __name__ == "__main__":
    main()
