import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfm_isrefiner.data import prepared_folder
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.prepared_folder import file_stem, locked


def test_safe_names_stay():
    assert file_stem("Urban/P0003 é_1.jpg") == "Urban/P0003 é_1.jpg"


@given(st.text("ab./\\%:2EF", min_size=1, max_size=8), st.text("ab./\\%:2EF", min_size=1, max_size=8))
@settings(deadline=None)
def test_names_stay_below_the_folder_and_apart(name, other):
    stem = file_stem(name)
    assert not any(word == "" or word.startswith(".") for word in stem.split("/"))
    assert name == other or stem != file_stem(other)


def test_a_second_run_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(prepared_folder, "PATIENCE", 0.1)
    with (
        locked(tmp_path / "out"),
        pytest.raises(DataError, match=r"Another run is preparing into .*out"),
        locked(tmp_path / "out"),
    ):
        pass
    with locked(tmp_path / "out") as descriptor:  # free again
        assert descriptor > 0


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(DataError, match="out is a file"), locked(tmp_path / "out"):
        pass
