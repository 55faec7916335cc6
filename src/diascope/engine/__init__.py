"""The engine: one task and its folder in, a finished run out. Joins data, model, training and the run folder."""

from diascope.engine.run import SAVE_SHARE, Stopped, execute, predict_rows
from diascope.engine.task import RunData, RunTask, open_pixels
from diascope.engine.together import MOST_RUNS, Told, execute_together, together_key
from diascope.predict.device import pick_device
from diascope.predict.network import load_model

__all__ = [
    "MOST_RUNS",
    "SAVE_SHARE",
    "RunData",
    "RunTask",
    "Stopped",
    "Told",
    "execute",
    "execute_together",
    "load_model",
    "open_pixels",
    "pick_device",
    "predict_rows",
    "together_key",
]
