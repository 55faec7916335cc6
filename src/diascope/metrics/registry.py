"""What there is to know of each metric without computing it: its name for people, its range and its direction."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["proportion", "mean", "other"]


@dataclass(frozen=True)
class Metric:
    """One metric. `low` and `high` bound its range, None where it has no bound; `best` is its value at its best."""

    label: str
    meaning: str
    low: float | None
    high: float | None
    best: float
    kind: Kind = "other"  # a share of images, a mean of one value an image, or neither
    needs: str = "images"  # without which it is undefined

    @property
    def lower_is_better(self) -> bool:
        """Whether of two values the smaller is the better; False also where the best one lies between others."""
        return self.best == self.low


MACRO = "; for more than two classes the mean over classes, each against the rest"
REGISTRY = {
    "accuracy": Metric("accuracy", "share of images whose predicted class is the true one", 0, 1, 1, "proportion"),
    "balanced_accuracy": Metric(
        "balanced accuracy",
        "mean over the classes of the share of a class's images that are predicted right",
        *(0, 1, 1),
        needs="images of every class",
    ),
    "sensitivity": Metric(
        "sensitivity",
        f"share of the positive images that are predicted positive{MACRO}",
        *(0, 1, 1, "proportion"),
        needs="positive images",
    ),
    "specificity": Metric(
        "specificity",
        f"share of the negative images that are predicted negative{MACRO}",
        *(0, 1, 1, "proportion"),
        needs="negative images",
    ),
    "ppv": Metric(
        "PPV",
        f"share of the images predicted positive that are positive (precision){MACRO}",
        *(0, 1, 1, "proportion"),
        needs="images predicted positive",
    ),
    "npv": Metric(
        "NPV",
        f"share of the images predicted negative that are negative{MACRO}",
        *(0, 1, 1, "proportion"),
        needs="images predicted negative",
    ),
    "f1": Metric(
        "F1", f"harmonic mean of sensitivity and PPV{MACRO}", 0, 1, 1, needs="images that are positive or predicted so"
    ),
    "mcc": Metric(
        "MCC",
        "Matthews correlation coefficient of true and predicted class",
        *(-1, 1, 1),
        needs="at least two true and two predicted classes",
    ),
    "auroc": Metric(
        "AUROC", f"area under the receiver operating characteristic{MACRO}", 0, 1, 1, needs="images of every class"
    ),
    "auprc": Metric(
        "AUPRC",
        f"area under the precision-recall curve (average precision){MACRO}",
        *(0, 1, 1),
        needs="images of every class",
    ),
    "brier": Metric(
        "Brier score",
        "mean squared distance of the positive class's probability to 0 or 1, the truth; for more than two classes the "
        "squared distances are summed over classes",
        *(0, None, 0, "mean"),
    ),
    "loss": Metric(
        "loss",
        "mean negative logarithm of the probability given to the true class (cross-entropy, natural logarithm)",
        *(0, None, 0, "mean"),
    ),
    "calibration_slope": Metric(
        "calibration slope",
        "slope of the truth's logit on the predicted one; below 1 the probabilities are too extreme; two classes only",
        *(None, None, 1),
        needs="two classes whose probabilities overlap",
    ),
    "calibration_intercept": Metric(
        "calibration intercept",
        "calibration in the large: the shift of the predicted logits that makes their mean probability right; "
        "two classes only",
        *(None, None, 0),
        needs="images of both classes",
    ),
    "ece": Metric(
        "calibration error",
        "expected calibration error: mean distance of confidence and truth over bins of equally many images",
        *(0, 1, 0),
    ),
}
METRICS = {name: metric.meaning for name, metric in REGISTRY.items()}
LOWER_IS_BETTER = frozenset(name for name, metric in REGISTRY.items() if metric.lower_is_better)
