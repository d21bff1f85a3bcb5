"""Steps taken ahead: their order, how many are held, and what ends them."""

import threading

import pytest

from vfm_isrefiner.batch.ahead import in_order

PATIENCE = 30


def test_results_come_in_the_order_of_the_items():
    later = threading.Event()

    def step(number):
        if number == 0:
            assert later.wait(PATIENCE)  # the first is done last
        if number == 2:
            later.set()
        return number * 10

    assert list(in_order(step, range(6), threads=3, most=3)) == [0, 10, 20, 30, 40, 50]


def test_one_is_made_while_another_is_used_and_no_more():
    made = [threading.Event() for _ in range(5)]
    results = in_order(lambda number: made[number].set(), range(5), threads=1, most=2)
    next(results)
    assert made[1].wait(PATIENCE)
    assert not any(one.is_set() for one in made[2:])  # nobody has asked for them
    next(results)
    assert made[2].wait(PATIENCE)
    assert not made[4].is_set()
    results.close()


def test_an_error_comes_in_its_turn_and_closing_waits():
    def step(number):
        if number == 1:
            raise ArithmeticError("one")
        return number

    results = in_order(step, range(9), threads=2, most=4)
    assert next(results) == 0
    with pytest.raises(ArithmeticError, match="one"):
        next(results)
    running, go, done = threading.Event(), threading.Event(), []

    def slow(number):
        running.set()
        assert go.wait(PATIENCE)
        done.append(number)

    waiting = in_order(slow, (number for number in range(3)), threads=1, most=2)
    threading.Timer(0.05, go.set).start()
    next(waiting)
    waiting.close()
    assert done in ([0], [0, 1])
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


@pytest.mark.parametrize(("threads", "most"), [(0, 1), (1, 0)])
def test_numbers_are_positive(threads, most):
    with pytest.raises(ValueError, match=f"got threads={threads}, most={most}"):
        in_order(str, [], threads, most)
