import threading
import time

import pytest

from benchmarks.run.prefetch import ahead, behind


def slow_first(i):
    time.sleep(0.01 * (5 - i))
    return i * i


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_results_come_in_the_order_of_the_items(workers):
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


@pytest.mark.parametrize("threaded", [True, False])
def test_results_of_work_behind_come_in_order(threaded):
    assert list(behind(slow_first, range(5), threaded)) == [0, 1, 4, 9, 16]


def test_at_most_one_item_waits_behind_while_the_next_is_made():
    made, finished, go_on = [], [], threading.Event()

    def items():
        for i in range(6):
            made.append(i)
            if i == 1:
                go_on.set()  # the first item is not finished before the second is made
            yield i

    def work(i):
        go_on.wait(10)
        finished.append(i)
        return i

    results = behind(work, items(), threaded=True)
    assert next(results) == 0 and made == [0, 1] and len(finished) >= 1
    assert list(results) == [1, 2, 3, 4, 5]


def test_what_was_handed_over_is_finished_when_making_the_next_item_fails():
    finished = []

    def items():
        yield from range(2)
        raise ValueError("the third cannot be made")

    def work(i):
        time.sleep(0.05)
        finished.append(i)

    with pytest.raises(ValueError, match="the third"):
        list(behind(work, items(), threaded=True))
    assert finished == [0, 1]


def test_an_error_of_work_behind_is_raised():
    def work(i):
        if i == 1:
            raise KeyError("one")
        return i

    with pytest.raises(KeyError, match="one"):
        list(behind(work, range(9), threaded=True))
