"""The small studies of kept.py and their images, which are drawn without Diascope: discs, no patients."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = 24
SERIAL = ("--executor", "serial")


@dataclass(frozen=True)
class Case:
    """A study file, and the commands that are given in turn; the study's folder is called like the case.

    `further` commands are given last, by either checkout to what the old one left: more epochs of a finished study.
    """

    covers: str
    study: str
    commands: tuple[tuple[str, ...], ...]
    further: tuple[tuple[str, ...], ...] = ()


def _case(name: str, covers: str, study: str, *more: tuple[str, ...], run: tuple[str, ...] = SERIAL) -> Case:
    return Case(covers, f"name: {name}\n{study}", (("run", f"{name}.yaml", *run), *more))


MODEL = "model: {base_channels: 2, dense: [8]}\n"
HOLDOUT = """data: {source: images/manifest.csv, group: patient, positive: dark, image_size: 24}
split: {kind: holdout, validation: 0.25, test: 0.25}
model: {base_channels: 2, dense: [8]}
training: {epochs: 2, learning_rate: 3e-3}
"""
SHORT = HOLDOUT.replace(", test: 0.25", "")
PRETRAINED = """data: {source: images/manifest.csv, group: patient, image_size: 32, channels: 3}
split: {kind: holdout, validation: 0.25, test: 0.25}
model: {name: pretrained, backbone: test_resnet, weights: weights.safetensors, dense: [8], dropout: 0.5}
training: {epochs: 2, learning_rate: 1e-2}
seeds: 2
report: {explain: 1}
arms:
  features: {}
  fine-tuned: {model.mode: finetune, training: {start_from: "arm:features", learning_rate: 1e-4}}
  changed: {augmentation.rotation: 20, model.augmented_copies: 2}
  random: {model.weights: random}
  logistic: {model: {head: logistic, dense: null, dropout: 0}}
"""
DICOM = """data: {source: SOURCE, group: "dicom:PatientID", image_size: 24}
split: {kind: holdout, validation: 0.3, test: 0.2}
model: {base_channels: 2, dense: [8]}
training: {epochs: 2, learning_rate: 3e-3}
seeds: 1
arms: {plain: {}}
"""
METHODS = ("grad-cam++", "occlusion", "integrated-gradients")
FIRST = "probes/runs/plain/fold0-seed0"
CASES = {
    "processes": Case(
        "executor processes, groups, start_from, augmentation, bf16, test side, columns, more epochs",
        "name: processes\n"
        + HOLDOUT
        + "seeds: 1\nreport: {subgroups: [site], explain: 1}\n"
        + "arms: {plain: {}, bf16: {training.precision: bf16}, "
        + 'changed: {augmentation: {rotation: 10, shift: 0.1, horizontal_flip: 0.5, noise: 0.05, erasing: 0.2}}, '
        + 'begun: {training.start_from: "arm:plain", training.learning_rate: 1e-4}}\n',
        (("run", "processes.yaml", "--jobs", "1"), ("test", "processes", "--arm", "plain", "--arm", "bf16")),
        (("run", "processes.yaml", "--jobs", "1", "--set", "training.epochs=3"),),
    ),
    "kfold": _case(
        "kfold", "executor serial, kfold with a test side, networks, training options, a network of one's own",
        HOLDOUT.replace("kind: holdout, validation: 0.25", "kind: kfold, folds: 2").replace(MODEL, "")
        + "seeds: 1\nreport: {explain: 0}\ncompare: {margin: 0.02, metric: auroc}\narms:\n"
        + "  vgg: {model: {name: vgg, base_channels: 2, dropout: 0.3}, data.image_size: 32, "
        + "training: {optimizer: sgd, momentum: 0.9, schedule: cosine}}\n"
        + "  resnet: {model: {name: resnet, depth: 8, base_channels: 2}, data.normalize: standard, "
        + "training.mixup: 0.2}\n"
        + "  normalized: {model: {base_channels: 2, normalization: batch}, "
        + "training: {class_weights: balanced, label_smoothing: 0.1}}\n"
        + "  own: {model.name: 'network.py:small', training: {early_stopping: 1, epochs: 3}}\n",
        ("test", "kfold", "--checkpoint", "last"),
    ),
    "pretrained": _case("pretrained", "features, fine-tuning, copies, random, logistic, start_from", PRETRAINED),
    "search": Case(
        "tune: ledger, winner, its study",
        "name: search\n"
        + HOLDOUT
        + "seeds: 2\nreport: {explain: 0}\narms: {plain: {}}\nsearch: {trials: 4, folds: 2, warmup_trials: 2, "
        + "space: {training.learning_rate: {low: 1e-4, high: 1e-2, log: true}, model.dropout: [0, 0.3]}}\n",
        (("tune", "search.yaml", *SERIAL),),
    ),
    "dicom": _case("dicom", "DICOM grouped by PatientID", DICOM.replace("SOURCE", "dicom"), ("test", "dicom")),
    "frames": _case("frames", "DICOM, data.frame", DICOM.replace("SOURCE", "frames, frame: 2")),
    "deep": _case(
        "deep", "16-bit gray PNG of 12 bits, a folder of classes",
        "data: {source: deep, image_size: 24}\nmodel: {base_channels: 2, dense: [8]}\n"
        "training: {epochs: 2, learning_rate: 3e-3}\nseeds: 1\narms: {plain: {}, told: {data.bits: 12}}\n",
    ),
    "npz": _case(
        "npz", "npz with its own sides, three classes, balanced sampler",
        "data: {source: three.npz, image_size: 24}\nmodel: {base_channels: 2, dense: [8]}\n"
        "training: {epochs: 2, learning_rate: 3e-3}\nseeds: [3, 5]\n"
        "arms: {plain: {}, balanced: {training.sampler: balanced}}\n",
        ("test", "npz"),
    ),
    "looks": _case(
        "looks", "seeds until decided",
        SHORT + "seeds: {from: 2, until: decided, at_most: 3}\nreport: {explain: 0}\n"
        "arms: {plain: {}, dropout: {model.dropout: 0.4}}\n",
    ),
    "probes": _case(
        "probes", "probes, explanations with masks, every method",
        SHORT.replace("epochs: 2", "epochs: 6") + "seeds: 1\nreport: {probes: true}\narms: {plain: {}}\n",
        ("explain", FIRST, "dark/006.png", "--regions", "--sanity", "--most", "8"),
        ("explain", FIRST, "dark/006.png", *(f"--method={name}" for name in METHODS)),
    ),
    "audit": Case(
        "audit of flawed images", "", (("audit", "images/flawed.csv", "--group", "patient", "--out", "audit"),)
    ),
}  # fmt: skip
NETWORK = """from torch import nn


def small(channels, outputs, image_size, width=4):
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(4 * width, outputs),
    )
"""


def lay_out(world: Path) -> None:
    """Every study file and all their images, into a new folder."""
    for name, case in CASES.items():
        if case.study:
            (world / f"{name}.yaml").write_text(case.study)
    (world / "network.py").write_text(NETWORK)
    _write_manifest(world / "images")
    _write_dicom(world)
    for number in range(32):
        path = world / "deep" / ("dark", "light")[number % 2] / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((_disc(number, number % 2, 4095)[0]).astype(np.uint16)).save(path)
    sides = {}
    for side, first, last in (("train", 0, 30), ("val", 30, 48), ("test", 48, 60)):
        numbers = range(first, last)
        sides[f"{side}_images"] = np.stack([_disc(number, number % 3, 255)[0].astype(np.uint8) for number in numbers])
        sides[f"{side}_labels"] = np.array([[number % 3] for number in numbers])
    np.savez(world / "three.npz", **sides)  # type: ignore[arg-type]
    _write_weights(world / "weights.safetensors")


def _disc(number: int, label: int, white: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Values (H, W) from 0 to `white`, and where the disc is: darker and smaller discs for a lower label."""
    random = np.random.RandomState(number)
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5 - random.uniform(-0.1, 0.1, (2, 1, 1))
    inside = np.hypot(rows, columns) < 0.15 + 0.05 * label + random.uniform(0, 0.08)
    values = 0.55 + 0.1 * random.randn(SIZE, SIZE) - (0.35 - 0.12 * label) * inside
    return np.rint(np.clip(values, 0, 1) * white), inside


def _write_manifest(folder: Path) -> None:
    """Colour images in classes, masks beside them, a manifest; and a manifest with flaws that an audit finds."""
    rows = []
    for number in range(64):
        label = ("dark", "light")[number % 2]
        values, inside = _disc(number, number % 2, 255)
        path = f"{label}/{number:03}.png"
        for root, picture in ((folder, _coloured(values, number)), (folder / "masks", inside.astype(np.uint8) * 255)):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(root / path)
        rows.append(f"{path},{label},p{number // 4:02},{('north', 'south')[number // 4 % 2]}")
    (folder / "manifest.csv").write_text("\n".join(["path,label,patient,site", *rows]) + "\n")
    (folder / "dark/copy.png").write_bytes((folder / "dark/000.png").read_bytes())
    (folder / "light/torn.png").write_bytes((folder / "light/001.png").read_bytes()[:200])
    flaws = ["dark/copy.png,light,p99,south", "light/torn.png,light,p01,south"]
    sides = [f"{row},{'training' if number % 3 else 'validation'}" for number, row in enumerate(rows[:20] + flaws)]
    (folder / "flawed.csv").write_text("\n".join(["path,label,patient,site,split", *sides]) + "\n")


def _coloured(values: NDArray[np.float64], number: int) -> NDArray[np.uint8]:
    tint = np.array([1.0, 0.7 + 0.02 * (number // 4 % 8), 0.6])
    return np.rint(values[..., None] * tint).astype(np.uint8)


def _write_dicom(world: Path) -> None:
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    for number in range(40):
        label = number % 2
        stored = _disc(number, label, 4095)[0].astype(np.uint16)
        for root, pixels in (("dicom", stored), ("frames", np.stack([stored[::-1], stored, stored // 2]))):
            image = Dataset()
            image.preamble, image.file_meta = b"\0" * 128, FileMetaDataset()
            image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = SecondaryCaptureImageStorage
            image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = f"1.2.3.{number + 1}"
            image.PatientID, image.Rows, image.Columns = f"phantom {number // 2}", SIZE, SIZE
            image.SamplesPerPixel, image.PhotometricInterpretation = 1, ("MONOCHROME2", "MONOCHROME1")[number % 5 == 0]
            image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
            image.RescaleSlope, image.RescaleIntercept = 2, -1024
            if number % 3:
                image.WindowCenter, image.WindowWidth = 3000, 6000
            if root == "frames":
                image.NumberOfFrames = len(pixels)
            image.PixelData = pixels.tobytes()
            image["PixelData"].VR = "OW"
            path = world / root / ("dark", "light")[label] / f"{number:03}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save_as(path, enforce_file_format=True)


def _write_weights(file: Path) -> None:
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = timm.create_model("test_resnet", pretrained=False, num_classes=0)
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, file)
