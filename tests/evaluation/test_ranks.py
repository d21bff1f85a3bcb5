"""Which process this is, and instances shared out over several."""

from dataclasses import replace

import pytest
import torch
from loop_parts import Brightness, drawn
from training.processes import in_ranks

from vfm_isrefiner.evaluation import Evaluation, InstanceResult, evaluate, protocol
from vfm_isrefiner.evaluation.ranks import ALONE, Ranks, first_host, launched, meeting_point, process_group, shared_out
from vfm_isrefiner.modulation import modulate_isrefiner
from vfm_isrefiner.rollout import Round


def test_torchrun_and_srun_number_the_processes():
    assert launched({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}) == Ranks(3, 8, 1)
    step = {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "6", "SLURM_LOCALID": "2"}
    assert launched(step) == Ranks(5, 6, 2)
    assert launched(step | {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}) == Ranks(0, 2, 0), "torchrun inside srun"


@pytest.mark.parametrize(
    "environment", [{}, {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, {"LOCAL_RANK": "1", "WORLD_SIZE": "2"}]
)
def test_who_is_not_started_by_them_is_alone(environment):
    assert launched(environment) == ALONE


def test_wrong_numbers_are_told():
    with pytest.raises(ValueError, match=r"rank 2 of 2 processes .* does not exist"):
        Ranks(2, 2)


def test_each_process_takes_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert Ranks(5, 8, 1).device("cuda") == torch.device("cuda", 1)
    assert Ranks(5, 8, 1).device("cuda:3") == torch.device("cuda", 3)
    assert Ranks(5, 8, 1).device("cpu") == torch.device("cpu")
    assert ALONE.device("cuda") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # srun --gpus-per-task=1
    assert Ranks(5, 8, 1).device("cuda") == torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("gpu07", "gpu07"), ("gpu[03-05,9],login", "gpu03"), ("login,gpu[3-5]", "login"), ("rack[1,4]-gpu[02-03]", "rack1-gpu02")],
)
def test_the_first_host_of_a_list(nodes, first):
    assert first_host(nodes) == first


def test_a_slurm_step_meets_at_its_first_host():
    step = {"SLURM_STEP_NODELIST": "gpu[3-4]", "SLURM_JOB_ID": "1234567", "SLURM_STEP_ID": "2"}
    found = meeting_point(step)
    assert found["MASTER_ADDR"] == "gpu3"
    assert 20_000 <= int(found["MASTER_PORT"]) < 30_000
    assert meeting_point(step | {"SLURM_STEP_ID": "3"})["MASTER_PORT"] != found["MASTER_PORT"]
    assert meeting_point({}) == {}


def play(*, indices):
    results = [InstanceResult(i, f"{i}", "set", "", "", 1, (0, 0, 1, 1), "ok", (i / 10,)) for i in indices]
    return Evaluation(tuple(results), protocol("simpleclick"), "model", "data")


def gather(rank, folder):
    ranks, played = launched(), []

    def remembered(*, indices):
        played.append(indices)
        return play(indices=indices)

    with process_group(ranks):
        both = [shared_out(remembered, 5, ranks), shared_out(remembered, 5, ranks, together=2)]
    assert not torch.distributed.is_initialized()
    (folder / f"{rank}").write_text(repr([str(each) for each in both]))
    assert played == [[[0, 3], [0, 1]], [[1, 4], [2, 3]], [[2], [4]]][rank]


def test_every_process_gets_the_results_of_all_in_their_order(tmp_path):
    assert in_ranks(gather, tmp_path, world=3) == [0, 0, 0]
    alone = [str(shared_out(play, 5, ALONE))] * 2
    assert {(tmp_path / f"{rank}").read_text() for rank in range(3)} == {repr(alone)}
    with pytest.raises(ValueError, match="together must be at least 1, got 0"):
        shared_out(play, 5, ALONE, together=0)


def test_processes_compute_on_the_batches_of_one_process():
    items = [drawn(48, 64, seed) for seed in range(7)]
    items[1] = replace(items[1], mask=torch.zeros_like(items[1].mask))  # is skipped, and its group stays one short
    rule = replace(protocol("paper").resized((24, 24)), max_clicks=2)

    def batches(indices):
        network = Brightness()
        evaluate(Round(network, modulate_isrefiner), items, rule, batch_size=2, indices=indices)
        return [prev_prob.sum((1, 2, 3)).tolist() for prev_prob, _ in network.passes]

    shared = batches([0, 1, 4, 5]) + batches([2, 3, 6])
    assert sorted(shared) == sorted(batches(None))
    assert {len(rows) for rows in shared} == {2, 4}, "groups of one and of two, each with its mirror image"
