import threading
import time

import pytest

from benchmarks.run.prefetch import ahead


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_results_come_in_the_order_of_the_items(workers):
    def slow_first(i):
        time.sleep(0.01 * (5 - i))
        return i * i

    assert list(ahead(slow_first, range(5), workers)) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_where_its_result_is_due_and_not_before(workers):
    def work(i):
        if i == 3:
            raise ValueError("three")
        return i

    results = ahead(work, range(6), workers)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_at_most_two_items_for_each_worker_are_worked_on_ahead():
    begun = []
    results = ahead(lambda i: begun.append(i), range(100), 2)
    next(results)
    time.sleep(0.05)
    assert len(begun) <= 6


def test_threads_end_when_the_reader_stops_early():
    results = ahead(lambda i: i, range(100), 3)
    next(results)
    results.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("prepare")]
