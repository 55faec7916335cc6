"""The engine: one task and its folder in, a finished run out. Joins data, model, training and the run folder."""

from diascope.engine.device import pick_device
from diascope.engine.network import load_model
from diascope.engine.run import SAVE_SHARE, Stopped, execute
from diascope.engine.task import RunData, RunTask, open_pixels

__all__ = ["SAVE_SHARE", "RunData", "RunTask", "Stopped", "execute", "load_model", "open_pixels", "pick_device"]
