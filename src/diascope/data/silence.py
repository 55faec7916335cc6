"""pydicom without its warnings and log lines: they quote what a file says, and that may be a patient's name.

Pillow too is silenced where it warns of what becomes an error with a remedy.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

_lock = Lock()
_inside = 0  # threads that are in silence now
_restore = ExitStack()


@contextmanager
def silence() -> Iterator[None]:
    """No warning is shown, and nothing that pydicom logs leaves it, until the last thread has left.

    Filters of warnings are the whole process's, so that threads which saved and restored them one by one would leave
    those of another behind. The first one in saves them, the last one out restores them.
    """
    global _inside, _restore
    with _lock:
        if _inside == 0:
            _restore = _silenced()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _restore.close()


def _silenced() -> ExitStack:
    stack = ExitStack()
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    logger = logging.getLogger("pydicom")
    stack.callback(setattr, logger, "propagate", logger.propagate)
    logger.propagate = False  # handlers that somebody put on this very logger are their own wish
    return stack
