"""What the peers that extract features share: the backbone, and a folder with JPEG files and weights.

python extraction.py FOLDER IMAGES      draws both
"""

import csv
import sys
from pathlib import Path

BACKBONE, SIZE = "vgg16", 224


def files(folder: Path) -> list[Path]:
    """The images in the order of the manifest."""
    with (folder / "manifest.csv").open(newline="") as stream:
        return [folder / row["path"] for row in csv.DictReader(stream)]


def weights(folder: Path) -> Path:
    return folder / "weights.safetensors"


def write(folder: Path, images: int) -> None:
    """Drawn skin lesions, and random weights of the backbone without its classifier."""
    import timm
    import torch
    from PIL import Image
    from safetensors.torch import save_file

    from diascope.config import PhantomConfig
    from diascope.data import phantoms

    config = PhantomConfig(images=images, size=SIZE)
    rows = [{**row, "path": f"{i:05d}.jpg"} for i, row in enumerate(phantoms.phantom_table("skin", config))]
    for i, row in enumerate(rows):
        Image.fromarray(phantoms.draw("skin", config, i).pixels).save(folder / row["path"], quality=90)
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    torch.manual_seed(0)
    state = timm.create_model(BACKBONE).state_dict()
    save_file({name: tensor for name, tensor in state.items() if name.startswith("features.")}, weights(folder))


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
