"""Runs over seeds, their names, and what tells them apart."""

from report.made_runs import evaluation, made_run

from vfm_isrefiner.report.repetitions import canonical, differing, grouped, named, telling, told_apart, words

SOME = evaluation([3, 4])


def test_runs_that_differ_in_the_seed_are_together():
    runs = [made_run(SOME, seed=seed, model__theta=theta) for theta in ("learnable", 0.5) for seed in (0, 1)]
    groups = grouped([runs[0], runs[2], runs[1], runs[3]])
    assert [[run.seed for run in group.runs] for group in groups] == [[0, 1], [0, 1]]
    assert "seed" not in groups[0].settings
    assert [group.settings["model.theta"] for group in groups] == ["learnable", 0.5]


def test_what_else_was_tested_is_no_other_thing():
    one, two = made_run(SOME), made_run(SOME, seed=1, test_sets=["isaid", "sandbar"], data__test__sandbar__root="x")
    [group] = grouped([two, one])
    assert not {"test_sets", "data.test.sandbar.root"} & set(group.settings)


def test_a_run_that_a_later_one_replaces():
    first, second = made_run(SOME, folder="a"), made_run(SOME, folder="b")
    other = made_run({"sandbar": SOME}, folder="c")
    [group] = grouped([first, second, other, made_run(SOME, seed=1)])
    assert group.repeated() == [first]


def test_names():
    named_alike = [made_run(SOME, name="size=tiny seed=0"), made_run(SOME, name="size=tiny seed=0", model__theta=0.5)]
    assert named(grouped(named_alike)) == ["size=tiny, model.theta=learnable", "size=tiny, model.theta=0.5"]
    assert named(grouped([made_run(SOME, name="seed=3"), made_run(SOME, name="ours", size="small")])) == ["seed=3", "ours"]


def test_names_where_a_setting_is_missing_or_nothing_differs():
    runs = [made_run(SOME, name="x", budget=None), made_run(SOME, name="x", budget=100)]
    assert named(grouped(runs)) == ["x, without budget", "x, budget=100"]
    written = grouped([made_run(SOME, name="x", budget=100), made_run(SOME, name="x", budget="100")])
    assert told_apart(["x", "x"], written) == ["x (1)", "x (2)"]


def test_what_follows_from_another_setting_is_not_told():
    axes = differing(
        [
            {"size": "tiny", "optimizer.lr": 5e-4, "modulation": "mfp", "modulation.window_clicks": 7.0},
            {"size": "small", "optimizer.lr": 1e-4, "modulation": "none"},
            {"size": "small", "optimizer.lr": 1e-4, "modulation": "mfp", "modulation.window_clicks": 7.0},
        ]
    )
    assert list(axes) == ["size", "optimizer.lr", "modulation", "modulation.window_clicks"]
    assert list(telling(axes)) == ["size", "modulation"]
    assert list(telling({"size": ["tiny", "tiny"], "optimizer.lr": [1, 2]})) == ["size", "optimizer.lr"]


def test_words():
    assert words({"size": "tiny", "optimizer.lr": 0.0005, "input_size": None}) == "size=tiny, optimizer.lr=0.0005"


def test_canonical():
    assert canonical("0.5") == canonical(0.5) == 0.5
    assert canonical(True) is True
    assert canonical([1, "2"]) == (1.0, 2.0)
    assert canonical({"b": 1, "a": "x"}) == (("a", "x"), ("b", 1.0))
    assert canonical("nan") == "nan"
