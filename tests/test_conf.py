"""Every file in conf/ is composed and its parts are built."""

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger
from omegaconf.errors import MissingMandatoryValue
from torch import nn, optim

from vfm_isrefiner.cli.jobs import deciding_settings
from vfm_isrefiner.cli.settings import composed, conf_folder
from vfm_isrefiner.cli.train import parts
from vfm_isrefiner.data.datamodule import RemoteSensingInstances
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.models.build import SIZES
from vfm_isrefiner.models.freeze import count_parameters
from vfm_isrefiner.modulation import modulate_mfp

CONF = conf_folder()
FILES = sorted(path.relative_to(CONF).as_posix().removesuffix(".yaml") for path in CONF.rglob("*.yaml"))
FOR_EVALUATE = ("table1_checkpoints",)
PRIMARY = ("train", "evaluate")
OTHERS = {
    "prepare": "patch_size",
    "data_check": "samples",
    "benchmark_click": "growth",
    "benchmark_same": "rounds",
    "benchmark_eval": "limit",
    "benchmark_train": "batches",
    "benchmark_data": "workers",
    "benchmark_all": "parts",
}  # and a setting of each
SMALL = ["model.size=test", "model.image_size=64"]


def settings(tmp_path, *overrides, name="train"):
    return composed(name, [f"paths.run={tmp_path}", f"paths.shared={tmp_path}", *overrides])


def choices(group):
    return [file.partition("/")[2] for file in FILES if file.startswith(f"{group}/")]


def test_every_group_has_its_test():
    groups = {file.partition("/")[0] for file in FILES if "/" in file}
    assert groups == {
        "callbacks",
        "data",
        "datamodule",
        "distillation",
        "experiment",
        "launch",
        "logger",
        "method",
        "mode",
        "model",
        "modulation",
        "optimizer",
        "paths",
        "peer",
        "scheduler",
        "set",
        "size",
        "trainer",
    }
    assert {file for file in FILES if "/" not in file} == {*PRIMARY, *OTHERS}


@pytest.mark.parametrize("name", PRIMARY)
def test_applications(tmp_path, name):
    cfg = settings(tmp_path, name=name)
    assert cfg.paths.run == str(tmp_path)
    assert cfg.protocol == "paper"


@pytest.mark.parametrize("name", OTHERS)
def test_other_commands(name):
    cfg = composed(name, [])
    assert cfg.get("set") is None
    assert OTHERS[name] in cfg


@pytest.mark.parametrize("choice", choices("set"))
def test_sets(tmp_path, choice):
    cfg = composed("data_check", [f"set={choice}", f"root={tmp_path}"])
    if choice == "synthetic":  # the only one that needs no file
        assert len(instantiate(cfg.set.reader)) > 0
        return
    with pytest.raises(InstantiationException) as fault:  # an empty folder is told, by the reader itself
        instantiate(cfg.set.reader)
    assert isinstance(fault.value.__cause__, DataError)
    assert str(tmp_path) in str(fault.value.__cause__)


@pytest.mark.parametrize("choice", choices("model"))
def test_models(tmp_path, choice):
    cfg = settings(tmp_path, f"model={choice}", *SMALL)
    network = instantiate(cfg.model)
    assert isinstance(network, nn.Module)
    assert network.config["kind"] == choice


@pytest.mark.parametrize("choice", choices("modulation"))
def test_modulations(tmp_path, choice):
    modulation = instantiate(settings(tmp_path, f"modulation={choice}").modulation)
    assert modulation.func.__name__ == f"modulate_{choice}"


@pytest.mark.parametrize("choice", choices("distillation"))
def test_distillations(tmp_path, choice):
    assert settings(tmp_path).distillation is None
    cfg = settings(tmp_path, f"distillation={choice}", "distillation.checkpoint=default", "distillation.weight=0.25")
    lesson = instantiate(cfg.distillation)
    assert (lesson.weight, lesson.teacher.modulation) == (0.25, modulate_mfp)


@pytest.mark.parametrize("choice", choices("optimizer"))
def test_optimizers(tmp_path, choice):
    optimizer = instantiate(settings(tmp_path, f"optimizer={choice}").optimizer)([nn.Parameter()])
    assert isinstance(optimizer, optim.Optimizer)


@pytest.mark.parametrize("choice", choices("scheduler"))
def test_schedulers(tmp_path, choice):
    optimizer = optim.SGD([nn.Parameter()], lr=1.0)
    scheduler = instantiate(settings(tmp_path, f"scheduler={choice}").scheduler)(optimizer)
    assert isinstance(scheduler, optim.lr_scheduler.LRScheduler)


@pytest.mark.parametrize("choice", choices("data"))
def test_data(tmp_path, choice):
    # folders are opened when they are needed, so a missing one is no error yet
    assert isinstance(instantiate(settings(tmp_path, f"data={choice}").data), RemoteSensingInstances)


def test_the_default_weights_can_be_trained_on_other_data(tmp_path):
    assert settings(tmp_path, "experiment=default_stage1").data.train_weights.synthetic == 0.10
    for stage in ("default_stage1", "default_stage1_last", "gpu_stage1", "default_stage2"):
        data = settings(tmp_path, f"experiment={stage}", "data=coco").data
        assert data.train_weights is None
        assert list(data.train) == ["coco"]


@pytest.mark.parametrize("choice", choices("datamodule"))
def test_what_all_data_share_needs_sets_only(tmp_path, choice):
    cfg = settings(tmp_path, "data=synthetic", "data.on_error=skip", "data.resident=false", "data.cache_bytes=0")
    shared = yaml.safe_load((CONF / "datamodule" / f"{choice}.yaml").read_text())
    assert set(cfg.data) - set(shared) == {"train", "val", "test"}
    assert instantiate(cfg.data).on_error == "skip"


@pytest.mark.parametrize("choice", choices("callbacks"))
def test_callbacks(tmp_path, choice):
    cfg = settings(tmp_path, f"callbacks={choice}")
    built = {name: instantiate(part) for name, part in cfg.callbacks.items() if part is not None}
    assert {"simulate_clicks", "stop_on_signal", "last"} <= set(built)
    assert all(isinstance(part, Callback) for part in built.values())


@pytest.mark.parametrize("choice", choices("logger"))
def test_loggers(tmp_path, choice):
    built = instantiate(settings(tmp_path, f"logger={choice}").logger)
    assert choice in built
    assert all(isinstance(part, Logger) for part in built.values())


@pytest.mark.parametrize("choice", choices("trainer"))
def test_trainers(tmp_path, choice):
    cfg = settings(tmp_path, f"trainer={choice}")
    assert cfg.trainer.accelerator == ("cpu" if "cpu" in choice else "gpu")
    cfg.trainer.accelerator = "cpu"  # the machine of the tests may have no GPU
    cfg.trainer.devices = max(cfg.trainer.devices, 1)
    trainer = instantiate(cfg.trainer, logger=False)
    assert isinstance(trainer, Trainer)
    assert trainer.world_size == cfg.trainer.devices * cfg.trainer.get("num_nodes", 1)


@pytest.mark.parametrize("choice", choices("mode"))
def test_modes_choose_network_modulation_and_what_learns(tmp_path, choice):
    cfg = settings(tmp_path, f"mode={choice}", *SMALL)
    network = instantiate(cfg.model)
    assert cfg.mode == choice
    assert cfg.fit == (choice != "pretrained")
    assert network.config["kind"] == ("isrefiner" if choice == "adapter" else "mfp")
    assert cfg.modulation._target_.endswith("modulate_isrefiner" if choice == "adapter" else "modulate_mfp")
    total, trainable = count_parameters(network)[""]
    share = {"pretrained": (0, 0), "full": (1, 1), "lora": (0.01, 0.3), "adapter": (0.3, 0.8)}[choice]
    assert share[0] <= trainable / total <= share[1]


@pytest.mark.parametrize("choice", choices("peer"))
def test_peers_ask_for_what_only_the_user_has(tmp_path, choice):
    cfg = settings(tmp_path, f"peer={choice}", name="evaluate")
    with pytest.raises(MissingMandatoryValue, match="peer"):
        instantiate(cfg.peer)


@pytest.mark.parametrize("choice", choices("method"))
def test_methods_begin_with_the_same_weights(tmp_path, choice):
    cfg = settings(tmp_path, f"method={choice}", "pretrained=MFP.pth")
    assert cfg.model._target_.endswith(f"build_{choice}")
    given = {name: cfg.model[name] for name in ("checkpoint", "backbone_checkpoint")}
    assert list(given.values()).count("MFP.pth") == 1
    assert cfg.mode == ("adapter" if choice == "isrefiner" else "full")


@pytest.mark.parametrize("choice", choices("size"))
def test_sizes_fit_together(tmp_path, choice):
    cfg = settings(tmp_path, f"size={choice}")
    assert cfg.size == cfg.model.size == choice
    assert cfg.model.image_size == cfg.data.augmentation.crop_size
    assert cfg.model.size in SIZES


def test_what_is_swept_beats_what_a_mode_or_a_size_says(tmp_path):
    cfg = settings(tmp_path, "experiment=table8", "size=test", "modulation=none", "data=synthetic", "optimizer=adam")
    assert cfg.modulation._target_.endswith("modulate_none")
    assert cfg.model.size == "test"
    assert cfg.optimizer._target_.endswith(".Adam")


@pytest.mark.parametrize("number", range(1, 9))
def test_tables_run_the_paper_unless_told_otherwise(tmp_path, number):
    cfg = settings(tmp_path, f"experiment=table{number}")
    assert (cfg.size, cfg.data.augmentation.crop_size, cfg.trainer.max_epochs) == ("paper", 448, 60)
    assert (cfg.optimizer.lr, list(cfg.scheduler.milestones), cfg.data.samples_per_epoch) == (5e-5, [10, 50], 30_000)
    assert set(cfg.data.test) == {"isaid", "sandbar", "nwpu", "loveda", "whu"}
    assert cfg.pretrained.endswith("MFP_vit_base_cocolvis.pth")


@pytest.mark.parametrize("choice", [choice for choice in choices("experiment") if choice not in FOR_EVALUATE])
def test_experiments(tmp_path, choice):
    given = "pretrained" if choice.startswith("table") else "model.backbone_checkpoint"
    cpu = ["trainer=cpu", f"{given}=null", "model.checkpoint=null", "trainer.precision=32-true"]  # another size than its file
    cfg = settings(tmp_path, f"experiment={choice}", *cpu, *SMALL)
    assert deciding_settings(cfg)["data.batch_size"] == cfg.data.batch_size
    module, datamodule, trainer = parts(cfg)
    assert module.configure_optimizers()
    assert isinstance(datamodule, RemoteSensingInstances)
    assert trainer.max_epochs == cfg.trainer.max_epochs


@pytest.mark.parametrize("choice", FOR_EVALUATE)
def test_experiments_of_evaluate(tmp_path, choice):
    cfg = settings(tmp_path, f"experiment={choice}", name="evaluate")
    assert (cfg.split, cfg.reuse) == ("test", True)
    assert isinstance(instantiate(cfg.data), RemoteSensingInstances)


def test_paper_and_released_say_the_published_numbers(tmp_path):
    paper = settings(tmp_path, "experiment=paper", "model.backbone_checkpoint=MFP.pth")
    released = settings(tmp_path, "experiment=released", "model.backbone_checkpoint=MFP.pth")
    assert [cfg.optimizer.lr for cfg in (paper, released)] == [5e-5, 5e-6]
    assert [list(cfg.scheduler.milestones) for cfg in (paper, released)] == [[10, 50], [50, 55]]
    assert [cfg.first_click_passes for cfg in (paper, released)] == [1, 2]
    assert [cfg.model.released for cfg in (paper, released)] == [False, True]
    assert [cfg.data.batch_size * max(1, cfg.trainer.devices) for cfg in (paper, released)] == [16, 8]
    for cfg in (paper, released):
        assert (cfg.trainer.max_epochs, cfg.data.samples_per_epoch, cfg.data.augmentation.crop_size) == (60, 30_000, 448)
        assert list(cfg.optimizer.betas) == [0.9, 0.999]


@pytest.mark.parametrize("choice", choices("paths"))
def test_paths_can_be_moved(tmp_path, choice, monkeypatch):
    monkeypatch.setenv("VFM_SHARED", "/somewhere/else")
    cfg = composed("train", [f"paths={choice}", f"paths.run={tmp_path}"])
    assert cfg.paths.shared == "/somewhere/else"


@pytest.mark.parametrize("choice", choices("launch"))
def test_launch_keeps_the_working_folder(choice):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=[f"launch={choice}"], return_hydra_config=True)
    assert cfg.hydra.job.chdir is False
    assert get_class(cfg.hydra.callbacks.collect._target_).__name__ == "CollectRuns"
    assert "sweep" in yaml.safe_load((CONF / "launch" / f"{choice}.yaml").read_text())


def test_outputs_are_dated_or_named_by_what_decides_them():
    default, tables = (yaml.safe_load((CONF / "launch" / f"{name}.yaml").read_text()) for name in ("default", "tables"))
    assert default["run"]["dir"].startswith("${paths.outputs}/${now:")
    assert (tables["mode"], tables["sweep"]["subdir"]) == ("MULTIRUN", "${run_folder:}")


def test_experiments_say_only_what_differs():
    for choice in choices("experiment"):
        lines = (CONF / "experiment" / f"{choice}.yaml").read_text().splitlines()
        assert len(lines) <= 50, f"experiment/{choice}.yaml has {len(lines)} lines"
