"""Image files that raise anything but a DataError, take more than 30 seconds or 2 GiB, as atheris finds them.

    python benchmarks/fuzz_readers.py [SECONDS]     600 unless said otherwise; pip install atheris

It begins with the files of readers.py and goes on from those that reach new lines of Diascope, pydicom and Pillow. What
fails is left in the working folder, as crash-*, timeout-* or oom-*.
"""

import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["diascope.data", "pydicom", "PIL"]):
    from readers import MEMORY, SECONDS, seeds

    from diascope.core.errors import DataError
    from diascope.data.readers import decode


def one(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            decode(data, 3)
        except DataError:
            return


def main() -> None:
    seconds = sys.argv[1] if len(sys.argv) > 1 else "600"
    with TemporaryDirectory() as folder:
        for name, data in seeds().items():
            (Path(folder) / name.replace(" ", "-")).write_bytes(data)
        bounds = (f"-timeout={SECONDS}", f"-rss_limit_mb={MEMORY >> 20}", "-max_len=20000")
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", *bounds, folder], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
