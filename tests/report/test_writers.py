"""Markdown, LaTeX and CSV of one table, to the letter where a reader sees it."""

import csv as csv_format
import io
import re

import pytest

from vfm_isrefiner.report.report_table import Cell, Column, Difference, ReportTable, Row
from vfm_isrefiner.report.writers import csv, escaped, latex, markdown, text_of

COLUMNS = (Column("isaid", "NoC80"), Column("isaid", "NoC90"), Column("Time", "in all", 1, "ms", ranked=False))
MORE, ALIKE = Difference(1.25, 1.0, 1.5, 20, 2), Difference(0.1, -0.1, 0.3, 20, 2)
TABLE = ReportTable(
    "table6",
    "The weight θ_1 (Table VI)",
    ("θ",),
    COLUMNS,
    (
        Row(
            ("1|2",),
            (Cell(2.5, 0.125, 2, 2, 2.25, 2.75, 20, MORE), Cell(8.504, 0.5, 2, 0, difference=ALIKE), Cell(30, 0.04, 2)),
        ),
        Row(("0.5",), (Cell(), Cell(), Cell()), missing=True),
        Row(("learnable",), (Cell(2.0, 0.0, 2, 1), Cell(7.25, 0.35, 2, 1), Cell(20.06, 1, 2)), reference=True),
        Row(("PiClick* (quoted)",), (Cell(2.25), Cell(6.51), Cell()), quoted=True),
    ),
    ("100 % of it.", "± over seeds."),
)
DIFFERENCES = ReportTable(
    "d",
    "D",
    ("θ",),
    (Column("isaid", "NoC90", signed=True),),
    (
        Row(("1",), (Cell(1.25, None, 2, 0, 1.0, 1.5, 20, verdict="more clicks"),)),
        Row(("2",), (Cell(-0.001, None, 2, 0, -0.254, 0.25, 20, verdict="not told apart"),)),
        Row(("3",), (Cell(),)),
    ),
    intervals=True,
)


def test_markdown():
    assert markdown(TABLE).splitlines() == [
        "**The weight θ_1 (Table VI)**",
        "",
        "| θ                  |         isaid NoC80 |     isaid NoC90 | Time in all (ms) |",
        "| ------------------ | ------------------: | --------------: | ---------------: |",
        "| 1\\|2               | <u>2.50† ± 0.12</u> |     8.50 ± 0.50 |       30.0 ± 0.0 |",
        "| 0.5                |                   – |               – |                – |",
        "| learnable          |     **2.00 ± 0.00** | **7.25 ± 0.35** |       20.1 ± 1.0 |",
        "| PiClick\\* (quoted) |                2.25 |            6.51 |                – |",
        "",
        "- 100 % of it.",
        "- ± over seeds.",
    ]


def test_a_wide_table_is_as_wide_as_the_page():
    columns = tuple(Column("", f"c{number}", signed=True) for number in range(8))
    text = latex(ReportTable("w", "W", ("a",), columns, (Row(("x",), (Cell(-1.0),) * 8),)))
    lines = [line.strip() for line in text.splitlines()]
    assert lines[:2] == ["% needs \\usepackage{booktabs,amssymb,graphicx}", "\\begin{table*}"]
    assert lines[lines.index("\\begin{tabular}{lrrrrrrrr}") - 1] == "\\resizebox{\\textwidth}{!}{%"
    assert "\\end{tabular}}" in lines
    assert lines[-1] == "\\end{table*}"
    assert "$-$1.00" in text
    assert text.count("{") == text.count("}")


def test_every_line_of_a_markdown_table_is_as_wide():
    widths = {len(line) for line in markdown(TABLE).splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_markdown_of_differences():
    assert [line.split("|")[2].strip() for line in markdown(DIFFERENCES).splitlines()[4:7]] == [
        "+1.25 [+1.00, +1.50] more clicks",
        "0.00 [−0.25, +0.25] not told apart",
        "–",
    ]


def test_seeds_stand_in_the_cell_where_they_differ():
    uneven = ReportTable("t", "T", ("a",), COLUMNS[:1], (Row(("x",), (Cell(1, 0.5, 2),)), Row(("y",), (Cell(2, None, 1),))))
    assert [text_of(row.cells[0], COLUMNS[0], uneven) for row in uneven.rows] == ["1.00 ± 0.50 (2)", "2.00 (1)"]


def test_an_interval_may_be_missing():
    assert text_of(Cell(1.0, seeds=1), Column("", "n"), DIFFERENCES) == "1.00"


def test_latex():
    text = latex(TABLE)
    assert text.splitlines() == [
        "% needs \\usepackage{booktabs,amssymb}",
        "\\begin{table}",
        "  \\centering",
        "  \\caption{The weight $\\theta$\\_1 (Table VI)}",
        "  \\label{tab:table6}",
        "  \\begin{tabular}{lrrr}",
        "    \\toprule",
        "    & \\multicolumn{2}{c}{isaid} & \\multicolumn{1}{c}{Time} \\\\",
        "    \\cmidrule(lr){2-3} \\cmidrule(lr){4-4}",
        "    $\\theta$ & NoC80 & NoC90 & in all (ms) \\\\",
        "    \\midrule",
        "    1$|$2 & \\underline{2.50$^\\dagger$ $\\pm$ 0.12} & 8.50 $\\pm$ 0.50 & 30.0 $\\pm$ 0.0 \\\\",
        "    0.5 & -- & -- & -- \\\\",
        "    learnable & \\textbf{2.00 $\\pm$ 0.00} & \\textbf{7.25 $\\pm$ 0.35} & 20.1 $\\pm$ 1.0 \\\\",
        "    \\midrule",
        "    PiClick{*} (quoted) & 2.25 & 6.51 & -- \\\\",
        "    \\bottomrule",
        "  \\end{tabular}",
        "  \\par\\smallskip\\begin{minipage}{\\linewidth}\\footnotesize 100 \\% of it. \\\\ $\\pm$ over seeds.\\end{minipage}",
        "\\end{table}",
    ]


@pytest.mark.parametrize("table", [TABLE, DIFFERENCES])
def test_latex_is_whole(table):
    text = re.sub(r"\\[{}$%&#_]", "", "\n".join(latex(table).splitlines()[1:]))
    depth = 0
    for letter in text:
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    assert depth == 0
    assert text.count("$") % 2 == 0
    begun, ended = (re.findall(rf"\\{word}{{(\w+)}}", text) for word in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    assert all(ord(letter) < 128 for letter in text)
    inner = [line for line in text.splitlines() if line.endswith("\\\\") and "multicolumn" not in line]
    assert {line.count("&") for line in inner} == {len(table.columns)}


def test_latex_without_groups_or_notes():
    plain = ReportTable("t", "T", ("a",), (Column("", "n"),), (Row(("x",), (Cell(1.0),), quoted=True),))
    text = latex(plain)
    assert "multicolumn" not in text
    assert "minipage" not in text
    assert text.count("\\midrule") == 1


def test_escaped():
    assert escaped(r"50% & a_b #1 {x} ~^\ $") == (
        r"50\% \& a\_b \#1 \{x\} \textasciitilde{}\textasciicircum{}\textbackslash{} \$"
    )
    assert escaped("[1, 2]") == "{[}1, 2]"
    assert escaped("F_ViT ✓ × < ≥") == r"F\_ViT $\checkmark$ $\times$ $<$ $\geq$"


def test_csv():
    rows = list(csv_format.DictReader(io.StringIO(csv(TABLE))))
    assert len(rows) == 12
    first = rows[0]
    assert (first["table"], first["θ"], first["set"], first["measure"], first["unit"]) == (
        "table6",
        "1|2",
        "isaid",
        "NoC80",
        "",
    )
    assert [first[name] for name in ("mean", "std", "n", "instances", "low", "high", "rank")] == [
        *("2.5", "0.125", "2", "20", "2.25", "2.75", "2"),
    ]
    assert [first[name] for name in ("difference", "difference_low", "difference_high", "verdict")] == [
        *("1.25", "1.0", "1.5", "more clicks"),
    ]
    assert rows[2]["unit"] == "ms"
    assert {name: value for name, value in rows[3].items() if value} == {
        **{"table": "table6", "θ": "0.5", "set": "isaid", "measure": "NoC80", "reference": "0", "quoted": "0"},
    }
    assert [row["reference"] for row in rows[::3]] == ["0", "0", "1", "0"]
    assert [row["quoted"] for row in rows[::3]] == ["0", "0", "0", "1"]
    assert list(csv_format.DictReader(io.StringIO(csv(DIFFERENCES))))[1]["verdict"] == "not told apart"
