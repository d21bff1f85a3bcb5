"""The paper's numbers: against its text where that is at hand, and against each other."""

import re

import pytest

from vfm_isrefiner.report.paper_tables import PAPER_TABLES
from vfm_isrefiner.report.quoted import FILE, paper_numbers, paper_sets, quoted_table, source

# the table's beginning in the paper, lines of headings, columns of labels
IN_THE_TEXT = {
    "table1": ("TABLE I:", 2, 2),
    "table2": ("TABLE II:", 2, 1),
    "table3": ("TABLE III:", 1, 2),
    "table4": ("TABLE IV:", 1, 1),
    "table5": ("TABLE V:", 2, 2),
    "table6": ("TABLE VI:", 2, 1),
    "table7": ("TABLE VII:", 2, 1),
    "table8": ("TABLE VIII:", 2, 1),
}


@pytest.fixture(scope="module")
def paper(shared):
    file = shared / "paper" / "vfm-isrefiner.md"
    if not file.is_file():
        pytest.skip(f"no text of the paper at {file}: numbers are not checked against it")
    return file.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("key", IN_THE_TEXT)
def test_every_number_is_the_papers(paper, key):
    begin, headings, labels = IN_THE_TEXT[key]
    after = paper[next(place for place, line in enumerate(paper) if line.startswith(begin)) + 1 :]
    first = next(place for place, line in enumerate(after) if "\t" in line)
    printed = []
    for line in after[first + headings :]:
        if "\t" not in line:
            break
        cells = re.sub(r"</?u>", "", line).split("\t")[labels:]
        printed.append(tuple(float(re.sub(r"(M|G|ms)$", "", cell.strip())) for cell in cells))
    assert [values for _, values in paper_numbers()[key].rows] == printed


def test_some_numbers_by_eye():
    tables = paper_numbers()
    assert dict(tables["table1"].rows)["MFP", "ViT-B"][:3] == (2.20, 3.46, 6.62)
    assert dict(tables["table2"].rows)["LoRA Fine-Tuning",][4:6] == (4.73, 7.41)
    assert dict(tables["table3"].rows)["VFM-ISRefiner (ours)", "ViT-B"] == (40.11, 212.49, 48.2)
    assert dict(tables["table4"].rows)["Pretrained Weights",] == (0, 181.3, 35.4)
    assert dict(tables["table5"].rows)["×", "✓"] == (2.29, 6.74, 4.84, 13.24, 3.68, 8.49)
    assert dict(tables["table8"].rows)["MFP",][2:4] == (4.79, 13.21)


def test_ours_is_the_same_in_every_table():
    tables = paper_numbers()
    ours = dict(zip(tables["table1"].columns, tables["table1"].rows[-1][1], strict=True))
    for key in ("table2", "table5", "table6", "table7", "table8"):
        last = dict(zip(tables[key].columns, tables[key].rows[-1][1], strict=True))
        assert last == {column: ours[column] for column in last}, key
    assert tables["table3"].rows[-1][1] == tables["table4"].rows[-1][1]


def test_full_fine_tuning_is_mfp():
    tables = paper_numbers()
    mfp = dict(zip(tables["table1"].columns, dict(tables["table1"].rows)["MFP", "ViT-B"], strict=True))
    full = dict(zip(tables["table2"].columns, dict(tables["table2"].rows)["Full Fine-Tuning",], strict=True))
    assert full == {column: mfp[column] for column in full}


def test_labels_stand_where_ours_stand():
    for key, table in PAPER_TABLES.items():
        assert len(paper_numbers()[key].labels) == len(table.labels)
        ours = {f"NoC{at}" for at in table.at}
        assert {measure for _, measure in paper_numbers()[key].columns} == (ours or {"Trainable", "FLOPs", "Time"})


def test_rows_have_a_value_in_every_column():
    for table in paper_numbers().values():
        assert {len(values) for _, values in table.rows} == {len(table.columns)}


def test_sets_have_our_names():
    assert paper_sets() == {
        **{"iSAID": "isaid", "SandBar": "sandbar", "NWPU": "nwpu"},
        **{"LoveDA Urban": "loveda", "WHUBuilding": "whu"},
    }


def test_quoted_table():
    table = quoted_table("table4")
    assert (table.key, table.title) == ("table4-quoted", "Table IV of the paper (quoted)")
    assert [column.heading for column in table.columns] == ["Trainable (M)", "FLOPs (G)", "Time (ms)"]
    assert all(row.quoted and row.labels[0].endswith(" (quoted)") for row in table.rows)
    assert table.notes[0] == f"Quoted: {source()}"
    assert quoted_table("table5").rows[0].labels == ("× (quoted)", "×")
    with pytest.raises(ValueError, match="the paper has no 'table9'; it has table1, table2"):
        quoted_table("table9")


def test_the_file_lies_in_the_package():
    assert FILE.parent.name == "report"
    assert FILE.is_file()
