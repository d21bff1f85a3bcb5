"""NoC evaluation: simulated clicks on every instance of a set, by a protocol with a name."""

from vfm_isrefiner.evaluation.evaluation import Evaluation, merge
from vfm_isrefiner.evaluation.loop import evaluate, trace
from vfm_isrefiner.evaluation.protocols import PROTOCOLS, EvaluationProtocol, protocol
from vfm_isrefiner.evaluation.result import InstanceResult

__all__ = ["PROTOCOLS", "Evaluation", "EvaluationProtocol", "InstanceResult", "evaluate", "merge", "protocol", "trace"]
