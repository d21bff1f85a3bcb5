"""NoC evaluation: simulated clicks on every instance of a set, by a protocol with a name."""

from vfm_isrefiner.evaluation.evaluation import INSTANCES_FILE, SUMMARY_FILE, Evaluation, merge
from vfm_isrefiner.evaluation.loop import evaluate, trace
from vfm_isrefiner.evaluation.protocols import PROTOCOLS, EvaluationProtocol, protocol
from vfm_isrefiner.evaluation.result import InstanceResult

__all__ = [
    "INSTANCES_FILE",
    "PROTOCOLS",
    "SUMMARY_FILE",
    "Evaluation",
    "EvaluationProtocol",
    "InstanceResult",
    "evaluate",
    "merge",
    "protocol",
    "trace",
]
