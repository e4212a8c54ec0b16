"""`nice`, so that it means what whoever gave it meant."""

import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)

AUTOGROUP = Path("/proc/self/autogroup")


def follow_nice(autogroup: Path = AUTOGROUP) -> None:
    """Give a niced process's session the same weight as the process, where the session is its own.

    Linux shares processors among sessions first (autogroup, sched(7)), and heeds `nice` only within one: of two workers
    started apart, as by `setsid` or a supervisor, the niced one would still get half of every processor. A session that
    somebody else leads, such as a terminal's, stays as it is.
    """
    nice = os.nice(0)
    if nice <= 0 or os.getsid(0) != os.getpid():
        return
    try:
        autogroup.write_text(f"{nice}\n", encoding="ascii")
    except OSError as error:
        # Another system, no autogroups, or nobody may write there: then something else weighs the processes.
        logger.debug("the session's weight stays as it is: %s", error.strerror)
