"""A peer that crashes, hangs, answers nonsense or cannot be started: always an error that says so, with its last lines."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from peers.miniature import changed_template

from vfm_isrefiner.peers import PeerError, PeerProcess, custom_peer, isegm_peer, sam_peer
from vfm_isrefiner.peers.bridge import pack, unpack

IMAGE = np.zeros((8, 10, 3), np.uint8)
CLICK = [[2.0, 3.0, 1.0]]


def started(folder, code, **settings):
    command = changed_template(folder / "program.py", code)
    return PeerProcess(command, {"zoom": "theirs"}, **{"timeout": 200, "start_timeout": 200, **settings})


def predicting(line):
    return f"import os, time, numpy as np\ndef predict(clicks, prev_prob, flip):\n    {line}\ntemplate.predict = predict\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "print('out of memory, it seems'); os._exit(3)",
            r"The peer ended \(exit status 3\).*\n.*\n.*\n    out of memory, it seems",
        ),
        ("os.kill(os.getpid(), 9)", r"The peer ended \(signal 9\)"),
        ("return np.zeros((10, 8))", "answered float32 of 10 × 8, where a float32 probability of 8 × 10 is due"),
        ("return np.where(np.eye(8, 10), np.nan, 0.5)", "answered 8 values that are not finite, of 80"),
        ("return np.full((8, 10), 1.5)", r"answered values from 1.5 to 1.5, where probabilities in \[0, 1\] are due"),
        ("raise RuntimeError('no such layer')", r"reported RuntimeError\('no such layer'\)"),
    ],
    ids=["crash", "killed", "shape", "nan", "outside", "error"],
)
def test_what_goes_wrong_in_a_prediction(tmp_path, line, message):
    with started(tmp_path, predicting(line)) as process:
        with pytest.raises(PeerError, match=message) as caught:
            process.play(IMAGE, CLICK, None, False)
        assert "It had been asked to predict click 1 on an image of 8 × 10 × 3." in str(caught.value)
        assert f"command: {sys.executable}" in str(caught.value)
        with pytest.raises(PeerError, match="has been closed before"):
            process.play(IMAGE, CLICK, None, False)


def is_running(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_silent_peer_is_ended_with_all_that_it_started(tmp_path):
    child = tmp_path / "child"
    starts = f"import subprocess; open({str(child)!r}, 'w').write(str(subprocess.Popen(['sleep', '600']).pid))"
    hangs = predicting("time.sleep(600 * (len(clicks) - 1)); return np.zeros((8, 10))")
    with started(tmp_path, f"{starts}\n{hangs}") as process:
        process.play(IMAGE, CLICK, None, False)
        process.timeout = 1.0
        with pytest.raises(PeerError, match=r"was silent for 1 s; a slow one needs peer\.timeout"):
            process.play(IMAGE, 2 * CLICK, None, False)
        number = int(child.read_text())
        until = time.monotonic() + 60
        while is_running(number) and time.monotonic() < until:
            time.sleep(0.01)
        assert not is_running(number)


def test_a_peer_that_does_not_even_read(tmp_path):
    with started(tmp_path, "") as process:
        process.start()
        os.kill(process._process.pid, 19)  # stopped: the image does not fit into the pipe
        process.timeout = 0.5
        with pytest.raises(PeerError, match=r"was silent for 0\.5 s"):
            process.play(np.zeros((600, 600, 3), np.uint8), CLICK, None, False)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("print('Loading weights'); import sys; sys.stdout.flush()", "sent no frame.*b'Load' came where a frame begins"),
        ("template.hello = lambda options: {'wire': 2, 'name': 'new'}", r"answered the greeting with \{'wire': 2"),
        ("raise SystemExit('no GPU here')", r"ended \(exit status 1\)(.|\n)*no GPU here"),
        ("import time; time.sleep(60)", "was silent for 0.5 s"),
    ],
    ids=["chatter", "version", "exit", "silence"],
)
def test_what_goes_wrong_at_the_start(tmp_path, code, message):
    seconds = 0.5 if "sleep" in code else 200
    with pytest.raises(PeerError, match=message) as caught:
        started(tmp_path, code, start_timeout=seconds).start()
    assert "It had been asked to load its network." in str(caught.value)


def test_a_program_that_is_none(tmp_path):
    program = tmp_path / "program"
    program.write_bytes(b"\0")
    program.chmod(0o755)
    with pytest.raises(PeerError, match="could not be started"):
        PeerProcess([str(program)], {}).start()


def test_only_the_last_lines_are_kept(tmp_path):
    line = "[print('step', k, end=chr(13)) for k in range(100)]; print(); os._exit(1)"
    with started(tmp_path, predicting(line)) as process, pytest.raises(PeerError) as caught:
        process.play(IMAGE, CLICK, None, False)
    lines = str(caught.value).splitlines()
    assert lines[-1].strip() == "step 99"
    assert lines[-25].strip() == "step 75"
    assert "step 74" not in str(caught.value)


def test_the_environment_is_the_peers_own(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    code = "import os\ntemplate.hello = lambda options: {'wire': 1, 'flips': False, 'name': str(os.environ.get('PYTHONPATH'))}"
    with started(tmp_path, code) as process:
        assert process.hello["name"] == "None"


def test_frames():
    arrays = {"image": IMAGE + 7, "prob": np.arange(6, dtype=np.float32).reshape(2, 3)}
    frame = pack({"ask": "image"}, arrays)
    left = memoryview(frame)

    def read(count):
        nonlocal left
        part, left = left[:count], left[count:]
        return bytes(part)

    header, found = unpack(read)
    assert header == {"ask": "image"}
    assert len(left) == 0
    assert all(np.array_equal(found[name], arrays[name]) and found[name].dtype == arrays[name].dtype for name in arrays)
    text = b'{"arrays": [{"name": "prob", "dtype": "int64", "shape": [1]}]}'
    left = memoryview(len(text).to_bytes(4, "big") + text)
    with pytest.raises(ValueError, match="array prob has dtype int64; send uint8 or float32"):
        unpack(read)


def test_what_is_not_there(tmp_path):
    (tmp_path / "isegm").mkdir()
    weights = tmp_path / "weights.pth"
    weights.touch()
    python, code, checkpoint = sys.executable, str(tmp_path), str(weights)
    with pytest.raises(PeerError, match=r"peer\.python=/no/python: there is no such program"):
        isegm_peer("/no/python", code, checkpoint)
    with pytest.raises(PeerError, match=r"peer\.code=/no/code: there is no such folder"):
        isegm_peer(python, "/no/code", checkpoint)
    with pytest.raises(PeerError, match="it holds no folder isegm/"):
        isegm_peer(python, str(tmp_path / "isegm"), checkpoint)
    with pytest.raises(PeerError, match=r"peer\.checkpoint=/no/file: there is no such file"):
        sam_peer(python, None, "/no/file", "vit_b")
    with pytest.raises(PeerError, match=r"peer\.command names no program"):
        custom_peer([])
    with pytest.raises(PeerError, match=r"peer\.command=no-such-program: there is no such program"):
        custom_peer(["no-such-program"])


def test_the_fingerprint_follows_weights_and_settings(tmp_path):
    (tmp_path / "isegm").mkdir()
    weights = tmp_path / "ritm.pth"
    weights.write_text("1")

    def peer(**settings):
        return isegm_peer(sys.executable, str(tmp_path), str(weights), **settings)

    first = peer()
    assert first.name == "ritm"
    assert first.fingerprint == peer(device="cuda", timeout=9).fingerprint
    assert len({first.fingerprint, peer(zoom="ours").fingerprint, peer(mode="CDNet").fingerprint}) == 3
    weights.write_text("2")
    assert peer().fingerprint != first.fingerprint
