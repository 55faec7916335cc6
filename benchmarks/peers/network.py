"""The lab's AlexNet as a PyTorch user writes it."""

from gate import BASE
from torch import nn


def network(batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 1
    for number, multiple in enumerate((1, 2, 4, 4, 2), start=1):
        layers.append(nn.Conv2d(channels, multiple * BASE, 3, padding=1))
        channels = multiple * BASE
        if batch_norm:
            layers.append(nn.BatchNorm2d(channels))
        layers.append(nn.ReLU())
        if number in (1, 2, 5):
            layers.append(nn.MaxPool2d(2))
    dense = [nn.Flatten(), nn.Linear(channels * 256, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)]
    return nn.Sequential(*layers, *dense)
