"""Features as a user of timm computes them: a DataLoader that opens JPEG files, forward_features, .numpy()."""

import json
import resource
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import timm
import torch
from extraction import BACKBONE, SIZE, files, weights
from PIL import Image
from safetensors.torch import load_file
from timm.data import resolve_data_config
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Images(Dataset):
    def __init__(self, paths: list[Path], transform: transforms.Compose) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> torch.Tensor:
        return self.transform(Image.open(self.paths[number]).convert("RGB"))


def main() -> None:
    folder, found_file = Path(sys.argv[1]), Path(sys.argv[2])
    model = timm.create_model(BACKBONE, num_classes=0)
    model.load_state_dict(load_file(weights(folder)), strict=False)  # all that forward_features uses
    model.eval()
    expected = resolve_data_config({}, model=model)
    steps = [transforms.Resize((SIZE, SIZE)), transforms.ToTensor()]
    transform = transforms.Compose([*steps, transforms.Normalize(expected["mean"], expected["std"])])
    loader = DataLoader(Images(files(folder), transform), batch_size=32, num_workers=2)
    with torch.inference_mode():
        model.forward_features(torch.zeros(1, 3, SIZE, SIZE))
        started = perf_counter()
        found = np.concatenate([model.forward_features(images).numpy() for images in loader])
        seconds = perf_counter() - started
    np.save(found_file, found.transpose(0, 2, 3, 1).reshape(len(found), -1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mib": peak}))


if __name__ == "__main__":
    main()
