"""What resumed functions and programs call besides what the source calls.

Resumed functions know these by names that no source can spell: they begin with a dot.
"""

from __future__ import annotations

from typing import Any

from opcodon._jit.form import UNSET
from opcodon._jit.generators import advanced, replays

UNSET_NAME = ".unset"
ENTER_NAME = ".enter"
RESUMED_WITH_NAME = ".resumed_with"
WITHOUT_HELPER_NAME = ".without_helper"
EXCEPTION_NAME = ".exception"
VALUES_NAME = ".values"
REPLAYS_NAME = ".replays"
ADVANCED_NAME = ".advanced"
IS_SEQUENCE_NAME = ".is_sequence"
KEY_ERROR_NAME = ".KeyError"
INDEX_ERROR_NAME = ".IndexError"


def enter(manager: Any) -> tuple[Any, Any]:
    """Enter a context manager; returns its bound `__exit__` and the value it gave."""
    kind = type(manager)
    try:
        enter_method, exit_method = kind.__enter__, kind.__exit__
    except AttributeError:
        with manager:  # raises what a with statement raises
            raise
    return exit_method.__get__(manager, kind), enter_method(manager)


class ResumedWith:
    """The context manager of a with statement that was entered by machine code."""

    def __init__(self, leave: Any) -> None:
        self.leave = leave

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> Any:
        return self.leave(*exception)


def without_helper(exception: BaseException) -> BaseException:
    """An exception without the traceback entry of a helper: the statement itself has one."""
    entry = exception.__traceback__
    return exception.with_traceback(entry.tb_next if entry is not None else None)


def is_sequence(value: Any) -> bool:
    """Whether patterns of sequences may match a value."""
    match value:
        case [*_]:
            return True
    return False


TOOLS: dict[str, Any] = {
    UNSET_NAME: UNSET,
    ENTER_NAME: enter,
    RESUMED_WITH_NAME: ResumedWith,
    WITHOUT_HELPER_NAME: without_helper,
    REPLAYS_NAME: replays,
    ADVANCED_NAME: advanced,
    IS_SEQUENCE_NAME: is_sequence,
    KEY_ERROR_NAME: KeyError,
    INDEX_ERROR_NAME: IndexError,
}
