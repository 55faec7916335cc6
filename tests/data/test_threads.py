"""Work by threads: in order, and not done for someone who has stopped listening."""

import time

from diascope.data.threads import in_threads


def test_results_come_in_order_whatever_the_chunk() -> None:
    for chunk in (1, 3, 16):
        assert list(in_threads(lambda item: item * item, range(20), 4, chunk)) == [item * item for item in range(20)]
    assert list(in_threads(str, [], 2)) == []


def test_whoever_leaves_does_not_wait_for_the_rest() -> None:
    begun: list[int] = []

    def slow(item: int) -> int:
        begun.append(item)
        time.sleep(0.01)
        return item

    results = in_threads(slow, range(200), 2, 1)
    assert next(results) == 0
    results.close()
    time.sleep(0.1)
    assert len(begun) < 100
