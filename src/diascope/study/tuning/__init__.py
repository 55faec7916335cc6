"""A search for hyper-parameters: trials on inner folds of the training side, then a study of what it found."""

from diascope.study.tuning.run import Tuned, TuneDisplay, tune

__all__ = ["TuneDisplay", "Tuned", "tune"]
