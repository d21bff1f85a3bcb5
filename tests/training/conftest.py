"""Warnings of Lightning that these tests cause on purpose."""

import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/training" in item.path.as_posix():
            # the frozen backbone is in eval mode on purpose
            item.add_marker(pytest.mark.filterwarnings("ignore:.*module.s. in eval mode at the start of training"))
            # reading 64 px drawings needs no workers
            item.add_marker(pytest.mark.filterwarnings("ignore:.*does not have many workers"))
            # the data module itself goes on with the next sample, so its loader has no state
            item.add_marker(pytest.mark.filterwarnings("ignore:.*your dataloader is not resumable"))
