"""Features as Diascope computes them before a study trains: images decoded into its cache, then features.obtain."""

import json
import resource
import shutil
import sys
from pathlib import Path
from time import perf_counter

import torch
from extraction import BACKBONE, weights
from joblib import cpu_count

from diascope.data.cache import load_images
from diascope.data.index import open_index
from diascope.features import FeatureSource, obtain
from diascope.studyfile import parse_study
from diascope.training.process import prepare_process

TEXT = "name: benchmark\ndata: {source: manifest.csv, image_size: 224, channels: 3}\n"


def main() -> None:
    """The cache is the one that DIASCOPE_CACHE names, empty."""
    folder, found_file, precision = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    model = [f"model={{name: pretrained, backbone: {BACKBONE}, weights: {weights(folder)}, pooling: flatten}}"]
    arm = parse_study(TEXT, model, where="benchmark", folder=folder).arms[0]
    index = open_index(arm.data)
    started = perf_counter()
    _, cache, _ = load_images(index, arm.data)
    decoding = perf_counter() - started
    prepare_process(cpu_count())
    source = FeatureSource(cache.folder / "pixels.npy", cache.content, arm.model, 0, precision)
    times: list[float] = []
    started = perf_counter()
    file = obtain(source, torch.device("cpu"), lambda done, total: times.append(perf_counter()))
    whole = perf_counter() - started
    shutil.copy(file, found_file)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"decoding": decoding, "seconds": times[-1] - times[0], "setting_up": whole - (times[-1] - times[0])}
    print(json.dumps({**told, "peak_mib": peak}))


if __name__ == "__main__":
    main()
