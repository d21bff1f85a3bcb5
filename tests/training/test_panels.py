"""Pictures of some instances after an epoch."""

import pytest
from training.blobs import data, module, trainer

from vfm_isrefiner.training.evaluate_noc import named
from vfm_isrefiner.training.panels import Panels


def draw(instance, interactions, file):
    file.write_text(f"{instance.id} {len(interactions)}")


def test_pictures_of_instances_spread_over_the_set(tmp_path):
    panels = Panels(tmp_path / "panels", draw, named("simpleclick", 64), every_n_epochs=2, instances=2)
    trainer(tmp_path, [panels], limit_train_batches=1).fit(module(), datamodule=data(val_count=4))
    files = sorted((tmp_path / "panels" / "epoch=001").iterdir())
    assert [file.name for file in files] == ["blobs-0_1.png", "blobs-2_1.png"]
    assert files[0].read_text() == "0/1 20", "one interaction a click"
    assert [folder.name for folder in (tmp_path / "panels").iterdir()] == ["epoch=001"]


@pytest.mark.parametrize("wrong", [{"every_n_epochs": 0}, {"instances": 0}])
def test_settings_out_of_range_are_told(tmp_path, wrong):
    with pytest.raises(ValueError, match=r"must be at least 1.*callbacks\.panels=null"):
        Panels(tmp_path, draw, **wrong)
