"""How many bytes a second this machine moves: c = a + 3 b with arrays of a size, as one JSON line.

Counted are the two that are read and the one that is written. Without an argument for the size the arrays are larger
than any cache.
"""

import argparse
import json
from statistics import median
from time import perf_counter

import torch

ROUNDS = 7


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--mib", type=float, default=512, help="of each of the three arrays")
    told = parser.parse_args()
    torch.set_num_threads(told.threads)
    numbers = int(told.mib * 2**20) // 4
    a, b, c = (torch.full((numbers,), float(value)) for value in range(3))
    passes = max(1, 2**29 // (4 * numbers))  # of small arrays, many: they are to stay in the cache
    seconds = []
    for _ in range(1 + ROUNDS):
        started = perf_counter()
        for _ in range(passes):
            torch.add(a, b, alpha=3.0, out=c)
        seconds.append((perf_counter() - started) / passes)
    print(json.dumps({"bytes_a_second": 3 * 4 * numbers / median(seconds[1:])}))


if __name__ == "__main__":
    main()
