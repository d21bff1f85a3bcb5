"""The page is well-formed, loads nothing, escapes everything, and says what is not there."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from vfm_isrefiner.evaluation import Evaluation, InstanceResult, protocol
from vfm_isrefiner.report.compared import ComparedRun, compared_runs
from vfm_isrefiner.report.page import Part, ReportPage, html_of, write_page
from vfm_isrefiner.report.page_html import Picture
from vfm_isrefiner.report.report_table import Cell, Column, ReportTable, Row
from vfm_isrefiner.report.runs import Run

VOID = {"meta", "img", "br"}
EVIL = "<img src=x onerror=\"alert('&')\">"


class Reader(HTMLParser):
    """Checks nesting; keeps elements with attributes, text by element, and ids."""

    def __init__(self, content):
        super().__init__(convert_charrefs=True)
        self.open, self.found, self.texts = [], [], []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"{tag} has an attribute twice"
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag):
        return [attrs for name, attrs in self.found if name == tag]

    def text(self, tag):
        return [data for name, data in self.texts if name == tag]


@pytest.fixture
def picture(tmp_path):
    file = tmp_path / "figure.png"
    file.write_bytes(b"not looked into")
    return Picture(file, f"caption {EVIL}", f"alt {EVIL}")


def table(key="table5", name="ours"):
    return ReportTable(
        key,
        f"Parts {EVIL}",
        ("Method", "F_HQ"),
        (Column("iSAID", "NoC80"), Column("iSAID", "NoC85"), Column("", "Trainable", unit="M")),
        (
            Row((name, "on"), (Cell(3.5, rank=1), Cell(4.25, 0.5, 2, rank=2), Cell(1.0)), reference=True),
            Row((EVIL, "off"), (Cell(5.0), Cell(), Cell())),
            Row(("MFP (quoted)", ""), (Cell(6.0), Cell(7.0), Cell()), quoted=True),
            Row(("none", ""), (Cell(), Cell(), Cell()), missing=True),
        ),
        (f"note {EVIL}",),
    )


def full(picture):
    run = ComparedRun(EVIL, {EVIL: EVIL}, {EVIL: (EVIL,)}, (EVIL,), ("0", "1"), ("/runs/<0>", "/runs/1"))
    part = Part((), (picture,))
    content = dict.fromkeys(("curves", "contrast", "modulation"), part)
    return ReportPage(
        EVIL, EVIL, (run,), (EVIL,), Part((table(),)), Part((table("d"),)), Part((table("s"),), (picture,)), **content
    )


def test_page_is_one_file_that_loads_nothing_and_runs_nothing_else(tmp_path, picture):
    content = write_page(tmp_path / "new" / "report.html", full(picture)).read_text(encoding="utf-8")
    read = Reader(content)
    assert not {tag for tag, _ in read.found} & {"link", "iframe", "object", "embed", "form", "base", "svg"}
    handlers = [(tag, name) for tag, attrs in read.found for name in attrs if name.startswith("on") or name == "style"]
    assert handlers == []
    assert all(attrs["src"].startswith("data:image/png;base64,") for attrs in read.all("img"))
    assert all(attrs["href"].startswith("#") for attrs in read.all("a"))
    assert "http://" not in content
    assert "https://" not in content
    assert "url(" not in content
    assert base64.b64decode(read.all("img")[0]["src"].partition(",")[2]) == b"not looked into"


def test_policy_allows_our_script_alone(picture):
    content = html_of(full(picture))
    read = Reader(content)
    policy = next(attrs["content"] for attrs in read.all("meta") if attrs.get("http-equiv") == "Content-Security-Policy")
    script = re.search(r"<script>(.*?)</script>", content, re.DOTALL)[1]
    expected = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{expected}';" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert len(read.all("script")) == 1


def test_everything_is_escaped_and_shown(picture):
    read = Reader(html_of(full(picture)))
    assert read.text("h1") == read.text("title") == [EVIL]
    assert read.all("img")[0]["alt"] == f"alt {EVIL}"
    assert f"caption {EVIL}" in read.text("figcaption")
    for words in (f"note {EVIL}", EVIL):
        assert words in read.text("p")
    assert EVIL in read.text("li")
    assert "/runs/<0>" in [attrs.get("title") for attrs in read.all("span")]
    assert EVIL in read.text("td")
    assert read.text("th").count(EVIL) == 4  # a run, and a method in each of three tables


def test_tables_are_accessible_and_marked(picture):
    read = Reader(html_of(replace(full(picture), differences=Part(), breakdown=Part())))
    assert read.text("caption") == ["Runs", f"Parts {EVIL}"]
    assert read.text("strong") == ["3.50"]
    assert read.text("u") == ["4.25 ± 0.50"]
    assert "–" in read.text("td")
    assert [attrs.get("class") for attrs in read.all("tr")][-4:] == ["reference", None, "quoted", "no-run"]
    assert [word for word in read.text("span") if word in ("reference", "no run")] == ["reference", "no run"]
    heads = [attrs for attrs in read.all("th") if "data-place" in attrs]
    assert sorted(int(attrs["data-place"]) for attrs in heads) == [0, 1, 2, 3, 4]
    assert all(attrs["scope"] in ("col", "row", "colgroup") for attrs in read.all("th"))
    assert {"scope": "colgroup", "colspan": "2", "class": "group"} in read.all("th")
    assert "Trainable (M)" in read.text("th")
    assert [attrs["data-value"] for attrs in read.all("td") if "data-value" in attrs][:3] == ["3.5", "4.25", "1.0"]


def test_anchors_are_unique_and_named_by_what_uses_them(picture):
    read = Reader(html_of(full(picture)))
    ids = [attrs["id"] for _, attrs in read.found if "id" in attrs]
    assert len(ids) == len(set(ids))
    used = [attrs["href"][1:] for attrs in read.all("a")] + [
        attrs["aria-labelledby"] for _, attrs in read.found if "aria-labelledby" in attrs
    ]
    assert set(used) <= set(ids)
    assert {"table5", "d", "s"} <= set(ids)
    assert [attrs["href"] for attrs in read.all("a")] == [f"#{attrs['id']}" for attrs in read.all("section")]


def test_what_is_not_there_is_said():
    read = Reader(html_of(ReportPage("nothing")))
    assert len(read.all("section")) == 8
    told = [words.split(":")[0] for words in read.text("p")]
    assert told[:8] == [
        "No run was given.",
        "Everything that was given could be compared.",
        *("No table", "No difference", "No breakdown", "No curve", "No panels", "No modulated maps"),
    ]


def test_compared_runs():
    rule = protocol("paper").resized((32, 32))
    result = InstanceResult(0, "1", "drawn", "", "a", 9, (0, 0, 3, 3), "ok", (0.5,) * 20)
    evaluations = {"drawn": Evaluation((result, replace(result, id="2", status="empty")), rule, "net 1234", "abcd")}
    settings = {"modulation": "mfp", "model.theta": 0.5, "size": "tiny"}
    runs = [Run(None, "mfp", settings | {"seed": seed}, evaluations) for seed in (0, 1)]
    whole = {"drawn": replace(evaluations["drawn"], protocol=replace(rule, zoom=None), data="")}
    runs.append(Run(None, "ours", settings | {"modulation": "isrefiner", "model.theta": None}, whole))
    first, second = compared_runs(runs)
    assert first.name == "mfp"
    assert (first.seeds, first.models) == (("0", "1"), ("net 1234",))
    assert first.settings == {"modulation": "mfp", "model.theta": "0.5"}
    assert first.measured == {"drawn": ("paper, input 32 x 32; 1 instances; data abcd",)}
    assert second.settings == {"modulation": "isrefiner"}
    assert second.measured == {"drawn": ("paper, whole image; 1 instances; data unknown",)}
    assert second.seeds == ("not written down",)


def test_errors(tmp_path, picture):
    with pytest.raises(ValueError, match="keys of their own, got a more than once"):
        ReportPage("twice", tables=Part((table("a"), table("b"))), breakdown=Part((table("a"),)))
    with pytest.raises(ValueError, match=r"figure\.png needs an alt text"):
        replace(picture, alt=" ")
    missing = Part((), (replace(picture, file=tmp_path / "missing.png"),))
    with pytest.raises(FileNotFoundError, match=r"missing\.png of the report is not there"):
        write_page(tmp_path / "a.html", ReportPage("a", curves=missing))
    drawn = Part((), (replace(picture, file=tmp_path / "a.pdf"),))
    with pytest.raises(ValueError, match=r"a\.pdf cannot be shown in a page; write the figure as \.png or \.svg"):
        write_page(tmp_path / "a.html", ReportPage("a", curves=drawn))
    assert [file.name for file in tmp_path.iterdir()] == ["figure.png"]
