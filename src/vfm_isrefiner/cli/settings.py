"""Where `conf/` lies, and how the commands compose it and speak of what went wrong."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, InstantiationException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from vfm_isrefiner.training.errors import StoppedBySignal, TrainingError


def conf_folder() -> Path:
    """`conf/` of the installed package, or of the checkout it is run from.

    Raises:
        FileNotFoundError: neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parents[1] / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise FileNotFoundError(f"No conf/ in {package} nor beside {package.parent}: install vfm-isrefiner again.")


def composed(name: str, overrides: list[str]) -> DictConfig:
    """The settings of `conf/<name>.yaml` with `overrides`, for commands that are no Hydra application themselves."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose(name, overrides=overrides)


_failed: list[str] = []


@contextmanager
def short_errors(go_on: bool = False) -> Iterator[None]:
    """Errors of the input end with one line and status 1; a fault of the code keeps its trace.

    HYDRA_FULL_ERROR=1 shows the trace of every error. A stop by signal ends with its own status.

    Args:
        go_on: after the line, for the other jobs of a multirun; `exit_if_a_job_failed` gives the status at the end.
    """
    try:
        yield
    except StoppedBySignal as stop:
        print(stop, file=sys.stderr)
        sys.exit(stop.exit_code)
    except Exception as error:
        cause = _first(error)
        if os.environ.get("HYDRA_FULL_ERROR") == "1" or not isinstance(cause, _expected()):
            raise
        advice = " Take trainer=cpu here." if "gpu backend" in str(cause) else ""
        print(f"error: {cause}{advice}\n(HYDRA_FULL_ERROR=1 shows where)", file=sys.stderr)
        if not go_on:
            sys.exit(1)
        _failed.append(str(cause))


def exit_if_a_job_failed() -> None:
    """Status 1 where `short_errors` went on past an error."""
    if _failed:
        _failed.clear()
        sys.exit(1)


def _expected() -> tuple[type[Exception], ...]:
    """What a wrong input raises."""
    expected = (HydraException, OmegaConfBaseException, TrainingError, ValueError, OSError)
    if "lightning.pytorch" not in sys.modules:  # seconds to import, and not needed by every command
        return expected
    from lightning.pytorch.utilities.exceptions import MisconfigurationException

    return (*expected, MisconfigurationException)


def _first(error: BaseException) -> BaseException:
    """What a constructor raised, out of Hydra's wrapping."""
    while isinstance(error, InstantiationException) and error.__cause__ is not None:
        error = error.__cause__
    return error


def quiet() -> None:
    """Third-party warnings that tell the user nothing; each with its reason."""
    # Lightning's line about devices and its tip of the day
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    # Lightning 2.6 asks torch's tree for its leaves in the way of torch < 2.9
    warnings.filterwarnings("ignore", message=".isinstance.treespec, LeafSpec.. is deprecated")
    # the frozen backbone is in eval mode on purpose
    warnings.filterwarnings("ignore", message=".*module\\(s\\) in eval mode at the start of training.*")
    # a short epoch is logged at its own pace
    warnings.filterwarnings("ignore", message="The number of training batches .* is smaller than the logging interval.*")
    # logits are cut to the image's size, and nobody changes them in place
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor.*")
    # strides of a dimension of length one; it says itself that this is no error
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides.*")
    # instances are read in the main process where num_workers=0 was asked for
    warnings.filterwarnings("ignore", message=".*does not have many workers which may be a bottleneck.*")
    # the data module itself goes on with the next sample, so its loader has no state
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
    # a run that is resumed into another folder is told in our own words
    warnings.filterwarnings("ignore", message="The dirpath has changed from.*")
    # a run that is resumed or repeated writes into its own folder again
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty.*")
