"""`isrefiner gallery` on a real run."""

WORDS = ("data=synthetic", "model.size=test", "model.image_size=64", "input_size=64", "data.augmentation.crop_size=64")


def test_pictures_of_a_run(isrefiner, capsys, tmp_path):
    words = ("data.val.synthetic.count=2", "limit=5", "checkpoint=null", "panels=0", "paths.run=run")
    assert isrefiner("evaluate", *WORDS, *words) == 0
    capsys.readouterr()
    assert isrefiner("gallery", "run", "--by", "all", "--pick", "random", "--count", "2", "--clicks", "1,3") == 0
    name = capsys.readouterr().out.split()[-1]
    assert name == "gallery/synthetic-random-all.png"
    assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert isrefiner("gallery", "run", "--out", "other", "--count", "1") == 0
    files = [file.name for file in (tmp_path / "other").iterdir()]
    assert files
    assert {file.rsplit("-", 1)[0] for file in files} == {"synthetic-worst"}


def test_wrong_words(isrefiner, capsys, tmp_path):
    assert isrefiner("gallery", "none") == 1
    assert "none is not a folder" in capsys.readouterr().err
    assert isrefiner("gallery", "run", "--clicks", "0") == 2
    assert "numbers of clicks such as 1,2,3" in capsys.readouterr().err
