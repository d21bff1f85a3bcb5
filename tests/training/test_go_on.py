"""What may fail is told once."""

import pytest

from vfm_isrefiner.training.go_on import GoOn


def fail(error):
    raise error


def test_the_first_failure_is_told_and_the_others_are_counted(capsys):
    go_on = GoOn("The diary")
    assert go_on.past(lambda: 3, 0) == 3
    for _ in range(3):
        assert go_on.past(lambda: fail(OSError(28, "No space left on device")), 7) == 7
    err = capsys.readouterr().err
    assert err.count("The diary failed (OSError: [Errno 28] No space left on device)") == 1
    go_on.sum_up()
    go_on.sum_up()
    assert capsys.readouterr().err == "The diary failed 3 times in all.\n"


def test_an_error_without_words_is_named(capsys):
    GoOn("The diary").past(lambda: fail(TimeoutError()), None)
    assert "The diary failed (TimeoutError)." in capsys.readouterr().err


def test_other_errors_are_raised():
    with pytest.raises(ValueError, match="a fault"):
        GoOn("The diary", OSError).past(lambda: fail(ValueError("a fault")), None)
