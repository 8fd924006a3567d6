"""Ends work on hostile text in time: a budget in seconds of the processor, kept by an alarm.

A single regular expression of a lexer may take minutes, and to nothing but a signal does Python
listen meanwhile; so this is for the main thread, where pages are rendered.
"""

from __future__ import annotations

import signal
import time
from types import FrameType


class OutOfTime(BaseException):
    """The budget is spent. No `Exception`, so that nothing within the work takes it for its own."""


class Budget:
    """`with budget:` raises OutOfTime when all the blocks together took longer than it allows.

    The alarm rings once: whenever it comes, none follows, and none is left behind by a block.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def __enter__(self) -> None:
        if self._left <= 0:
            raise OutOfTime
        self._began = time.process_time()
        signal.signal(signal.SIGVTALRM, _end)
        signal.setitimer(signal.ITIMER_VIRTUAL, self._left)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        self._left -= time.process_time() - self._began
        # Python hears what rang meanwhile before it takes the handler away, never after the block.
        signal.signal(signal.SIGVTALRM, signal.SIG_IGN)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise OutOfTime
