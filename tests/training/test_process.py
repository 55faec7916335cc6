"""prepare_process sets what it says; in a process of its own, because the settings stay."""

import subprocess
import sys

PROGRAM = """
import resource, torch
from diascope.training.process import prepare_process
prepare_process(1)
assert torch.get_num_threads() == 1
assert (torch.tensor([1e-40]) * 1.0).item() == 0, "denormal numbers are kept"
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def step():
    arrays = [torch.ones(1 << 20) for _ in range(6)]
    del arrays
step(); step()
before = faults()
for _ in range(10):
    step()
print(faults() - before)
"""


def test_freed_memory_is_used_again():
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    if sys.platform == "linux":
        assert int(result.stdout) < 10_000  # 10 x 6 arrays of 1,024 pages of 4 KiB are 61,440
