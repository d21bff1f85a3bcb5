"""The peer in the place of a round: logits, protocols, the template, and going on after a crash."""

import ast
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from loop_parts import drawn
from omegaconf import OmegaConf
from peers.miniature import changed_template, told

from vfm_isrefiner import peers
from vfm_isrefiner.cli.settings import conf_folder
from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.evaluation import EvaluationProtocol, evaluate, trace
from vfm_isrefiner.evaluation.partial import Partial
from vfm_isrefiner.peers import Peer, PeerError, custom_peer, to_logits
from vfm_isrefiner.zoom import ZoomRule

HOME = Path(peers.__file__).parent
TEMPLATE = HOME / "template.py"
RULE = EvaluationProtocol("quick", 0.49, ZoomRule((24, 24), min_crop=10), max_clicks=4)
ITEMS = [drawn(32, 36, seed) for seed in range(5)]


def test_zero_one_and_the_side_of_a_threshold_survive():
    ends = torch.tensor([0.0, 1.0])
    assert torch.equal(to_logits(ends).sigmoid(), ends)
    assert to_logits(ends).isfinite().all()
    for percent in range(1, 100):
        at = np.float32(percent / 100)
        below, above = [at], [np.nextafter(at, np.float32(1))]
        for _ in range(50):
            below.append(np.nextafter(below[-1], np.float32(0)))
            above.append(np.nextafter(above[-1], np.float32(1)))
        prob = torch.tensor(np.array(below + above))
        assert torch.equal(to_logits(prob).sigmoid() > percent / 100, prob > percent / 100), percent
    prob = torch.rand(40, 41, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(to_logits(prob).sigmoid(), prob, rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def disks():
    with custom_peer([sys.executable, str(TEMPLATE)], options={"radius": 3}, timeout=200) as peer:
        yield peer


def test_the_template_is_a_peer(disks):
    clicks = Clicks(torch.tensor([[[9.0, 9.0], [9.0, 11.0]]]), torch.tensor([[1, 0]], dtype=torch.int8))
    prob = disks.logits(disks.encode(ITEMS[0].image[None])[0], None, clicks, torch.zeros(1, 1, 32, 36)).sigmoid()[0, 0]
    rows, columns = np.mgrid[:32, :36]
    near = [(rows - 9) ** 2 + (columns - x) ** 2 <= 9 for x in (9, 11)]
    assert torch.equal(prob > 0.5, torch.from_numpy(near[0] & ~near[1]))
    assert disks.name == "template"
    history = trace(disks, ITEMS[0], disks.protocol(RULE))
    assert len(history) == 4


def test_protocols_say_what_differs(disks):
    assert disks.protocol(RULE) == replace(RULE, name="quick, peer's own zoom", zoom=None, flip=False)
    ours = replace(disks, zoom="ours")
    assert ours.protocol(RULE) == replace(RULE, name="quick, not flipped", flip=False)
    assert ours.protocol(replace(RULE, flip=False)) == replace(RULE, flip=False)
    with pytest.raises(PeerError, match=r"peer\.flip=true: template cannot average with the mirrored image"):
        replace(disks, own_flip=True).protocol(RULE)


def test_wrong_uses(disks):
    with pytest.raises(ValueError, match=r"peer\.zoom is theirs or ours, got 'mine'"):
        replace(disks, zoom="mine")
    with pytest.raises(PeerError, match=r"takes whole images as uint8, got torch\.float32; use Peer\.protocol"):
        evaluate(disks, ITEMS[:1], RULE)


def test_after_a_crash_it_goes_on_where_it_was(tmp_path):
    count = "import os\nmade, plain = [], template.predict\n"
    code = f"{count}def predict(*given):\n    made.append(0)\n    len(made) == 11 and os._exit(7)\n    return plain(*given)\n"
    crashing, sound = (tmp_path / f"{name}.py" for name in ("crashing", "sound"))
    command = changed_template(crashing, f"{code}template.predict = predict")

    def played(command, folder):
        with custom_peer(command, timeout=200) as peer:
            rule = peer.protocol(RULE)
            with Partial.open(folder, rule, "disks", "items") as partial:
                todo = partial.remaining(len(ITEMS))
                rest = evaluate(peer, ITEMS, rule, batch_size=1, indices=todo, on_result=partial.write)
                return todo, partial.joined(rest)

    with pytest.raises(PeerError, match="exit status 7"):
        played(command, tmp_path / "stopped")
    healthy = changed_template(sound, "")
    todo, resumed = played(healthy, tmp_path / "stopped")
    assert todo == [2, 3, 4]  # four clicks each: it crashed in the third instance
    _, undisturbed = played(healthy, tmp_path / "through")
    assert [told(result) for result in resumed.results] == [told(result) for result in undisturbed.results]


@pytest.mark.parametrize("name", ["bridge", "play_isegm", "play_sam", "template"])
def test_what_runs_at_the_peer_is_python_3_8_without_us(name):
    tree = ast.parse((HOME / f"{name}.py").read_text(), feature_version=(3, 8))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [each for each in names if each.startswith("vfm_isrefiner")]
    top = {each.partition(".")[0] for each in names}
    assert top <= {"numpy", "torch", "isegm", "sam2", *sys.stdlib_module_names}


@pytest.mark.parametrize("choice", sorted(path.stem for path in (conf_folder() / "peer").glob("*.yaml")))
def test_every_choice_of_the_command_line_is_built(tmp_path, choice):
    (tmp_path / "isegm").mkdir()
    (tmp_path / "weights.pth").touch()
    given = {
        "isegm": {"code": str(tmp_path), "zoom_in": {"target_size": [672, 672]}},
        "sam": {"model": "vit_b"},
        "custom": {"command": [sys.executable, str(TEMPLATE)], "options": {"radius": 5}},
    }[choice]
    python = {} if choice == "custom" else {"python": sys.executable}
    cfg = OmegaConf.merge(
        OmegaConf.load(conf_folder() / "peer" / f"{choice}.yaml"),
        {"checkpoint": str(tmp_path / "weights.pth"), **python, **given},
    )
    peer = instantiate(cfg)
    assert (peer.name, peer.zoom, peer.own_flip) == ("weights", "theirs", None)
    sent = json.loads(json.dumps(peer.process.options))
    assert sent["checkpoint"] == str(tmp_path / "weights.pth")
    assert sent.get("zoom_in", {"target_size": [672, 672]}) == {"target_size": [672, 672]}


def test_a_peer_is_started_by_its_with_block():
    peer = custom_peer([sys.executable, str(TEMPLATE)])
    assert isinstance(peer, Peer)
    assert peer.process.hello == {}
    peer.process.close()
    with pytest.raises(PeerError, match="has been closed before"):
        peer.process.play(np.zeros((4, 4, 3), np.uint8), [[1.0, 1.0, 1.0]], None, False)
