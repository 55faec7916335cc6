"""Plain PyTorch as its tutorials write it: a DataLoader, a loop, the loss read every step."""

import torch
from gate import BATCH, LEARNING_RATE, Gate, arguments, pixels
from network import network
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def main() -> None:
    told = arguments()
    torch.set_num_threads(told.threads)
    images, labels = pixels(told.images)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous() / 255
    y = torch.from_numpy(labels).float().unsqueeze(1)
    n = told.images
    training = DataLoader(TensorDataset(x[:n], y[:n]), batch_size=BATCH, shuffle=True)
    validation = DataLoader(TensorDataset(x[n:], y[n:]), batch_size=BATCH)
    model = network(told.task == "lab-1b")
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    gate = Gate()
    for _ in range(told.epochs):
        gate.wait()
        model.train()
        total = 0.0
        for batch, targets in training:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=told.precision == "bf16"):
                loss = criterion(model(batch), targets)
            loss.backward()
            optimizer.step()
            total += loss.item()
        gate.training_ends()
        model.eval()
        right = 0
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=told.precision == "bf16"):
            for batch, targets in validation:
                logits = model(batch)
                total += criterion(logits, targets).item()
                right += ((logits > 0) == (targets > 0.5)).sum().item()
        gate.epoch_ends()


if __name__ == "__main__":
    main()
