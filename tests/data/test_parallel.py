import pytest

from vfm_isrefiner.data.parallel import in_threads


def test_keeps_the_order():
    assert list(in_threads(lambda number: number * 2, range(50))) == list(range(0, 100, 2))


def test_first_fault_ends_it():
    def work(number):
        if number == 3:
            raise ValueError("three")
        return number

    with pytest.raises(ValueError, match="three"):
        list(in_threads(work, range(1000)))
