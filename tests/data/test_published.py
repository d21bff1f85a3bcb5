import pytest

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.published import one_choice, one_of


def test_the_first_place_that_is_there(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "c.json").touch()
    assert one_of(tmp_path, ["a", "b", "c.json"], "set") == tmp_path / "b"
    assert one_of(tmp_path, ["a", "c.json"], "set") == tmp_path / "c.json"
    assert one_of(tmp_path, [""], "set") == tmp_path


def test_what_is_there_instead(tmp_path):
    with pytest.raises(DataError, match=r"has no set\. Looked for 'a'; found there: nothing\. Check the root"):
        one_of(tmp_path, ["a"], "set")
    for number in range(14):
        (tmp_path / f"{number:02d}.png").touch()
    (tmp_path / "00_more").mkdir()
    with pytest.raises(
        DataError, match=r"Looked for 'a', 'b/c'; found there: 00\.png, 00_more/, 01\.png, .*10\.png and 3 more"
    ):
        one_of(tmp_path, ["a", "b/c"], "set")
    with pytest.raises(DataError, match=r"found there: nothing, there is no folder .*none"):
        one_of(tmp_path / "none", ["a"], "set")


def test_a_folder_that_leads_to_itself(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "a")
    with pytest.raises(DataError, match=r"has no set\. Looked for 'a'; found there: a\."):
        one_of(tmp_path, ["a"], "set")


def test_choices():
    assert one_choice("val", ("train", "val"), "split of it") == "val"
    for value in (None, "", "test", 3):
        with pytest.raises(DataError, match=r"Unknown split of it .*\. Choose one of 'train', 'val'"):
            one_choice(value, ("train", "val"), "split of it")
