"""What the files of the page must be, so that it works offline under a strict content security policy."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from vfm_isrefiner import annotator

STATIC = Path(annotator.__file__).parent / "static"
MODULES = sorted(STATIC.glob("*.js"))
OWN = sorted([*MODULES, *STATIC.glob("*.css"), *STATIC.glob("*.html"), *STATIC.glob("*.svg")])
ICON_NAMESPACE = "http://www.w3.org/2000/svg"  # a name, which nothing fetches


class Tags(HTMLParser):
    """All tags of a page with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.inside = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.lasttag in ("script", "style") and data.strip():
            self.inside.append(data)


@pytest.fixture(scope="module")
def index():
    return Tags((STATIC / "index.html").read_text())


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_files_are_small_and_name_no_other_server(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 250
    assert re.findall(r"(?:https?:)?//[\w-]+\.[\w.-]+", text.replace(ICON_NAMESPACE, "")) == []


def test_no_inline_script_or_style(index):
    assert index.inside == []
    attributes = {name for _, attrs in index.tags for name in attrs}
    assert [name for name in attributes if name == "style" or name.startswith("on")] == []


def test_what_the_page_loads_is_there(index):
    wanted = [
        attrs[name] for tag, attrs in index.tags for name in ("src", "href") if tag in ("script", "link") and name in attrs
    ]
    assert len(wanted) >= 4
    for name in wanted:
        assert (STATIC / name).is_file(), name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_import_what_others_export(path):
    for names, source in re.findall(r"import \{([^}]+)\} from \"(\./[^\"]+)\"", path.read_text()):
        text = (path.parent / source).read_text()
        for name in (one.strip() for one in names.split(",")):
            exported = (
                rf"export (?:default )?(?:async )?(?:function\*?|const|class) {name}\b|export\s*\{{[^}}]*\bas {name}\b[^}}]*\}}"
            )
            assert re.search(exported, text), f"{path.name}: {source} exports no {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_nothing_is_evaluated_or_written_as_markup(path):
    assert (
        re.findall(
            r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(\"style\"", path.read_text()
        )
        == []
    )


def test_elements_that_modules_look_for_are_in_the_page(index):
    ids = {attrs["id"] for _, attrs in index.tags if "id" in attrs}
    for path in MODULES:
        asked = re.findall(r"(?:getElementById|element)\(\"([\w-]+)\"\)", path.read_text())
        assert set(asked) <= ids, path.name


def test_every_command_of_a_button_exists(index):
    commands = (STATIC / "commands.js").read_text()
    asked = {attrs["data-command"] for _, attrs in index.tags if "data-command" in attrs}
    assert len(asked) > 10
    for name in asked:
        assert f'id: "{name}"' in commands, name


def test_the_keys_are_written_down():
    """docs/annotate.md has every single-letter key of the commands."""
    commands = (STATIC / "commands.js").read_text()
    table = (Path(__file__).parents[2] / "docs/annotate.md").read_text().partition("| key |")[2].partition("\n\n")[0]
    letters = set(re.findall(r'keys: \["([a-z])"', commands))
    assert len(letters) > 12
    written = set(re.findall(r"\b([A-Z])\b", table))
    assert {one.upper() for one in letters} - written == set()


def test_vendored_code_has_its_licences():
    """Of each package in it, by name and version."""
    assert (STATIC / "vendor/ol.js").read_text().startswith("// OpenLayers ")
    licences = (STATIC / "vendor/LICENSES.txt").read_text()
    assert {line.split()[0] for line in licences.splitlines() if re.fullmatch(r"[\w@/-]+ \d+\.\d+\.\d+", line)} == {
        "ol",
        "rbush",
        "quickselect",
    }
    assert "BSD 2-Clause License" in licences
