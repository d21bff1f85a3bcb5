"""A trained network at work: SAM's conventions for scripts, sessions with undo for people."""

from vfm_isrefiner.predictor.gathering import NetworkBusy
from vfm_isrefiner.predictor.prediction import Click, Prediction
from vfm_isrefiner.predictor.predictor import Predictor
from vfm_isrefiner.predictor.session import Session

__all__ = ["Click", "NetworkBusy", "Prediction", "Predictor", "Session"]
