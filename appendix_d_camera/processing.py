"""The list of what can be done with a frame: operations of appendix C, and exported models."""

from collections.abc import Callable
from functools import partial

import numpy as np

from appendix_c_image_processing.operations import OPERATIONS
from appendix_d_camera.models import Process, Result, load_model
from common.errors import UserError
from common.files import exports, runs_dir

NONE = "none"
Load = Callable[[], Process]  # slow for a model, so a worker calls it


def unchanged(frame: np.ndarray) -> Result:
    """Returns the frame as it is."""
    return Result(frame)


def find_processes() -> dict[str, Load]:
    """Returns what can be chosen, by name: nothing, the operations, and all models under runs/.

    Of each run the newest export is in the list. What a model takes is found when it is loaded.
    """
    newest = [folder for path in sorted(runs_dir().glob("*/*/export"))
              for folder in exports(path)[-1:]]
    return {
        NONE: lambda: unchanged,
        **{name: partial(_of_operation, operation) for name, operation in OPERATIONS.items()},
        **{"/".join(folder.parts[-4:-2]): partial(load_model, folder) for folder in newest},
    }


def _of_operation(operation: Callable[[np.ndarray], np.ndarray]) -> Process:
    """Returns an operation as a process without text."""
    return lambda frame: Result(operation(frame))


def explain(error: Exception) -> str:
    """Returns an error in one line, for the status line: a thread that dies tells nobody."""
    if isinstance(error, UserError):
        return f"{error}: {error.hint}"
    return f"{type(error).__name__}: {(str(error).splitlines() or ['no reason given'])[0]}"
