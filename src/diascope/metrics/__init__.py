"""Scores computed from labels and predicted probabilities: the one place where Diascope computes a metric.

Throughout, labels are int (N,) class numbers, probabilities are float (N, K) with columns in class order and rows that
sum to one, and `positive` is the number of the positive class of two, predicted where its probability lies strictly
above `threshold` (neither decides anything for more classes, but for operating points).
A score that the data leave undefined, say an AUROC where only one class occurs, is None, never 0.
docs/metrics.md has the formulas, the intervals' methods and how often the intervals cover.
"""

from diascope.metrics.arrays import Labels, Probabilities, Scores, predicted_classes
from diascope.metrics.calibration import CalibrationError, calibration_error
from diascope.metrics.decisions import confusion_matrix
from diascope.metrics.intervals import Interval, intervals
from diascope.metrics.metric import Metric
from diascope.metrics.operating import CrossFitted, cross_fitted, operating_point
from diascope.metrics.probabilities import loss
from diascope.metrics.ranking import RocCurve, auroc, roc_curve
from diascope.metrics.registry import COMPARED, LOWER_IS_BETTER, METRICS, REGISTRY, WITH_INTERVAL
from diascope.metrics.scoring import per_class, score, scores

__all__ = [
    "COMPARED",
    "LOWER_IS_BETTER",
    "METRICS",
    "REGISTRY",
    "WITH_INTERVAL",
    "CalibrationError",
    "CrossFitted",
    "Interval",
    "Labels",
    "Metric",
    "Probabilities",
    "RocCurve",
    "Scores",
    "auroc",
    "calibration_error",
    "confusion_matrix",
    "cross_fitted",
    "intervals",
    "loss",
    "operating_point",
    "per_class",
    "predicted_classes",
    "roc_curve",
    "score",
    "scores",
]
