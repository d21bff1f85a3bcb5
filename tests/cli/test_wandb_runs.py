"""W&B runs become folders that a report reads; a W&B of its own stands in for the network."""

import json
from pathlib import Path

import pytest
import wandb
from wandb.apis.public.runs import RunNotFoundError

from vfm_isrefiner.cli.wandb_runs import fetched
from vfm_isrefiner.evaluation import Evaluation, InstanceResult, protocol
from vfm_isrefiner.report.runs import find_runs


class File:
    def __init__(self, root, name):
        self.root, self.name = root, name

    def download(self, root, replace):
        place = Path(root) / self.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((self.root / self.name).read_bytes())
        return place.open()


class Run:
    """A run whose files lie in a folder."""

    def __init__(self, root):
        self.root, self.id = root, root.name

    def files(self, names):
        return [File(self.root, name) for name in names if (self.root / name).is_file()]


class Api:
    def __init__(self, *runs):
        self.stored, self.asked = {run.id: run for run in runs}, []

    def __call__(self):
        return self

    def run(self, path):
        self.asked.append(path)
        if path.rpartition("/")[2] not in self.stored:
            raise RunNotFoundError(f"Could not find run {path}")
        return self.stored[path.rpartition("/")[2]]

    def runs(self, project, filters):
        self.asked.append((project, filters))
        return list(self.stored.values())


@pytest.fixture
def stored(tmp_path):
    """A run as W&B stores it."""

    def make(name, content=None):
        root = tmp_path / "stored" / name
        result = InstanceResult(
            0, "0/1", "blobs", "blob", "0", 9, (0, 0, 3, 3), "ok", (0.9,) * 20, (), ((1.0, 1.0, True),) * 20
        )
        Evaluation((result,), protocol("paper"), "m", "d").save(root / "test")
        (root / ".hydra").mkdir()
        (root / ".hydra" / "config.yaml").write_text("seed: 3\n")
        content = content or {"name": name, "settings": {"seed": 3}, "evaluations": {"blobs": "test"}}
        (root / "isrefiner-run.json").write_text(json.dumps(content))
        return Run(root)

    return make


def test_a_run_becomes_a_folder_that_a_report_reads(tmp_path, stored):
    api = Api(stored("abc"))
    (place,) = fetched(["wandb:me/project/abc"], tmp_path / "cache", api)
    assert place == tmp_path / "cache" / "me" / "project" / "abc"
    assert api.asked == ["me/project/abc"]
    (run,) = find_runs([place])
    assert (run.name, run.seed, run.evaluations["blobs"].results[0].id) == ("abc", 3, "0/1")
    assert (place / ".hydra" / "config.yaml").is_file()


def test_a_fresh_copy_replaces_an_older_one(tmp_path, stored):
    run = stored("abc")
    (place,) = fetched(["wandb:me/project/abc"], tmp_path / "cache", Api(run))
    (place / "left.txt").touch()
    fetched(["wandb:me/project/abc"], tmp_path / "cache", Api(run))
    assert sorted(path.name for path in place.iterdir()) == [".hydra", "run.json", "test"]
    assert [path.name for path in place.parent.iterdir()] == ["abc"], "nothing half-fetched is left"


def test_runs_by_group_and_tag_beside_folders(tmp_path, stored, capsys):
    broken = stored("broken")
    (broken.root / "test" / "instances.parquet").unlink()
    api = Api(stored("a"), broken, stored("b"))
    folders = fetched([str(tmp_path), "wandb:me/project?group=table5&tag=tiny&job_type=train"], tmp_path / "cache", api)
    assert [folder.name for folder in folders] == [tmp_path.name, "a", "b"]
    assert api.asked == [
        ("me/project", {"$and": [{"group": "table5"}, {"tags": {"$in": ["tiny"]}}, {"jobType": "train"}]}),
    ]
    assert "left out: wandb:me/project/broken has no test/instances.parquet" in capsys.readouterr().out


def test_a_whole_project(tmp_path, stored):
    api = Api(stored("a"))
    assert [folder.name for folder in fetched(["wandb:me/project"], tmp_path, api)] == ["a"]
    assert api.asked == [("me/project", {})]


def test_folders_alone_ask_nobody(tmp_path):
    def never():
        raise AssertionError

    assert fetched([str(tmp_path)], tmp_path, never) == [tmp_path]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("wandb:project", "names no W&B run; write wandb:ENTITY/PROJECT/RUN_ID"),
        ("wandb:me/project/a/b", "names no W&B run"),
        ("wandb:me/project?colour=red", "filters by colour; runs are filtered by group"),
        ("wandb:me/project?group", "filters by nothing"),
        ("wandb:me/project/none", "there is no such run, or this account may not see it"),
        ("wandb:me/project?group=none", "no finished run there"),
    ],
)
def test_wrong_words_are_told(tmp_path, word, told):
    with pytest.raises(ValueError, match=told.replace("?", r"\?")):
        fetched([word], tmp_path, Api())


def test_a_run_without_our_files_is_told(tmp_path, stored):
    run = stored("abc")
    (run.root / "isrefiner-run.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"wandb:me/project/abc has no isrefiner-run\.json: the run has not ended"):
        fetched(["wandb:me/project/abc"], tmp_path, Api(run))


@pytest.mark.parametrize("place", ["../../elsewhere", "/etc"])
def test_a_run_that_names_a_folder_outside_is_refused(tmp_path, stored, place):
    run = stored("abc", {"name": "abc", "evaluations": {"blobs": place}})
    with pytest.raises(ValueError, match="which is outside of the run"):
        fetched(["wandb:me/project/abc"], tmp_path / "cache", Api(run))
    assert list((tmp_path / "cache" / "me" / "project").iterdir()) == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (wandb.errors.UsageError("No API key configured."), "Log in with `wandb login`, or set WANDB_API_KEY"),
        (wandb.errors.CommError("permission denied"), "W&B answered: permission denied"),
    ],
)
def test_what_wandb_refuses_is_told(tmp_path, error, told):
    def refuse():
        raise error

    with pytest.raises(ValueError, match=told):
        fetched(["wandb:me/project/abc"], tmp_path, refuse)


def test_without_a_login_the_real_library_is_told_too(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"wandb:me/project/abc: .*Log in with `wandb login`"):
        fetched(["wandb:me/project/abc"], tmp_path)
