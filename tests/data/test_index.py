from dataclasses import replace

import pytest

from vfm_isrefiner.data import index
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.index import IndexRow, join_parts, read_facts, read_index, read_part, write_part

ROW = IndexRow("a_0_0", 2**24 - 1, "ship", 6, 1, 2, 3, 2, True, 8, 9, "a", 0, 0, "train", 0.3, b"12", None)


def test_part_keeps_rows_and_facts(tmp_path):
    rows = [ROW, replace(ROW, instance=2**40, ignore=b"\x00\xff", gsd=float("nan"))]
    write_part(tmp_path / "x/a.parquet", rows, {"bytes": 3})
    table = read_part(tmp_path / "x/a.parquet")
    assert table["instance"].to_pylist() == [2**24 - 1, 2**40]
    assert table["ignore"].to_pylist() == [None, b"\x00\xff"]
    assert table.to_pylist()[0] == {name: getattr(ROW, name) for name in table.column_names}
    assert read_facts(tmp_path / "x/a.parquet") == {"bytes": 3}


def test_facts_of_what_is_no_part(tmp_path):
    assert read_facts(tmp_path / "none.parquet") is None
    (tmp_path / "junk.parquet").write_bytes(b"PAR1 junk")
    assert read_facts(tmp_path / "junk.parquet") is None
    write_part(tmp_path / "a.parquet", [ROW], {})
    join_parts([tmp_path / "a.parquet"], tmp_path / "index.parquet")
    assert read_facts(tmp_path / "index.parquet") is None


@pytest.mark.parametrize("group", [1, 3, 1000])
def test_parts_are_joined_in_the_given_order(tmp_path, monkeypatch, group):
    monkeypatch.setattr(index, "ROWS_A_GROUP", group)
    parts = []
    for name, rows in (("b", 2), ("a", 0), ("c", 4)):
        parts.append(tmp_path / f"{name}.parquet")
        write_part(parts[-1], [replace(ROW, image=f"{name}_0_0", instance=k) for k in range(rows)], {"name": name})
    join_parts(parts, tmp_path / "index.parquet")
    table = read_index(tmp_path / "index.parquet")
    assert list(zip(table["image"].to_pylist(), table["instance"].to_pylist(), strict=True)) == [
        *(("b_0_0", k) for k in range(2)),
        *(("c_0_0", k) for k in range(4)),
    ]
    assert read_index(tmp_path / "index.parquet", ["area"]).column_names == ["area"]
    first = (tmp_path / "index.parquet").read_bytes()
    join_parts(parts, tmp_path / "index.parquet")
    assert (tmp_path / "index.parquet").read_bytes() == first


def test_faults_of_an_index(tmp_path):
    with pytest.raises(DataError, match=r"There is no index .*i\.parquet. Give the folder"):
        read_index(tmp_path / "i.parquet")
    (tmp_path / "i.parquet").write_bytes(b"PAR1 junk")
    with pytest.raises(DataError, match=r"i\.parquet is no index of prepared patches"):
        read_index(tmp_path / "i.parquet")
    index.parquet.write_table(index.pa.table({"image": ["a"]}), tmp_path / "i.parquet")
    with pytest.raises(DataError, match=r"i\.parquet is no index of prepared patches"):
        read_index(tmp_path / "i.parquet")
