"""Which runs cannot be compared is said in words."""

from dataclasses import replace

from report.made_runs import evaluation, made_run

from vfm_isrefiner.report.apart import what_stands_apart


def test_runs_measured_alike_need_no_word():
    assert what_stands_apart([made_run(evaluation([3, 4])), made_run(evaluation([5, 6]), name="b")]) == ()


def test_what_differs_is_named_against_the_commonest():
    usual = evaluation([3, 4])
    other = replace(usual, protocol=replace(usual.protocol, threshold=0.49), data="data 2")
    runs = [made_run(usual, name=f"run {number}") for number in range(6)] + [made_run(other, name="odd")]
    (sentence,) = what_stands_apart(runs)
    assert sentence.startswith("isaid: odd against run 0, run 1, run 2, run 3 and 2 more")
    assert "protocol.threshold 0.49 against 0.5" in sentence
    assert "data fingerprint data 2 against data 1" in sentence
