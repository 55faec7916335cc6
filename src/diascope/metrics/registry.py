"""The metrics by name. A new one is a record in a file of its own, or of its family, and a line here."""

import diascope.metrics.calibration as calibration
import diascope.metrics.decisions as decisions
import diascope.metrics.probabilities as probabilities
import diascope.metrics.ranking as ranking
from diascope.metrics.matthews import MCC
from diascope.metrics.metric import Metric

REGISTRY: dict[str, Metric] = {
    "accuracy": decisions.ACCURACY,
    "balanced_accuracy": decisions.BALANCED_ACCURACY,
    "sensitivity": decisions.SENSITIVITY,
    "specificity": decisions.SPECIFICITY,
    "ppv": decisions.PPV,
    "npv": decisions.NPV,
    "f1": decisions.F1,
    "mcc": MCC,
    "auroc": ranking.AUROC,
    "auprc": ranking.AUPRC,
    "brier": probabilities.BRIER,
    "loss": probabilities.LOSS,
    "calibration_slope": calibration.CALIBRATION_SLOPE,
    "calibration_intercept": calibration.CALIBRATION_INTERCEPT,
    "ece": calibration.ECE,
}
METRICS = {name: metric.meaning for name, metric in REGISTRY.items()}
LOWER_IS_BETTER = frozenset(name for name, metric in REGISTRY.items() if metric.lower_is_better)
WITH_INTERVAL = tuple(name for name, metric in REGISTRY.items() if callable(metric.limits))
COMPARED = tuple(name for name, metric in REGISTRY.items() if metric.compares)
