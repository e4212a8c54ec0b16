"""Child processes that start with nothing of the parent's: not its environment, not its main module, not its signals.

`multiprocessing`'s own spawn hands the environment down, where a hostile image would find the credentials, and imports
the parent's main module in the child, which here means the whole command line with its models.
"""

import fcntl
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from multiprocessing import popen_spawn_posix, reduction, resource_tracker, spawn, util
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess, set_spawning_popen
from multiprocessing.process import BaseProcess

_PREPARATION = ("name", "sys_path", "dir", "orig_dir", "authkey", "start_method", "log_to_stderr")
"""What a child is told: neither the main module nor the arguments."""

_PIPE_BYTES = 1 << 20
_FIND_LIBRARIES = "LD_LIBRARY_PATH"


class CleanContext(SpawnContext):
    """A spawn context for children with an environment of their own.

    Args:
        environment: all that the children see, but for the path to shared libraries.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__()
        libraries = os.environ.get(_FIND_LIBRARIES)
        self._environment = dict(environment) | ({_FIND_LIBRARIES: libraries} if libraries else {})

    def Process(self, *args: object, **kwargs: object) -> BaseProcess:  # type: ignore[override]  # noqa: N802  a class there
        """A process that is yet to be started, as `multiprocessing.Process`."""
        return _Process(self._environment, *args, **kwargs)

    def Pipe(self, duplex: bool = True) -> tuple[Connection, Connection]:  # noqa: N802  its name
        """A pipe that holds a few pictures: a child need not wait until the parent finds time to read."""
        reader, writer = super().Pipe(duplex)
        if sys.platform == "linux":
            # Refused where the kernel's allowance is used up; smaller is slower, no more.
            with suppress(OSError):
                fcntl.fcntl(writer.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return reader, writer


class _Process(SpawnProcess):
    """Keeps the environment for `_Popen`, and does not send it to the child a second time."""

    def __init__(self, environment: Mapping[str, str], *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they came
        self.environment: Mapping[str, str] | None = environment

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> "_Popen":  # noqa: N802  its name there
        return _Popen(process_obj)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "environment": None}


class _Popen(popen_spawn_posix.Popen):
    """CPython's spawn, with another environment and SIGINT blocked: Ctrl-C is the parent's to handle."""

    _fds: list[int]

    def _launch(self, process: _Process) -> None:
        tracker = resource_tracker.getfd()
        self._fds.append(tracker)  # type: ignore[arg-type]  # it has just been started
        message = self._message(process)
        read_message, write_message = os.pipe()
        # Nothing is ever written to this one: its end of file tells the parent that the child is gone.
        self.sentinel, held_by_child = os.pipe()
        self.finalizer = util.Finalize(self, _close, (self.sentinel, write_message))
        self._fds += (read_message, held_by_child)
        try:
            self.pid = os.posix_spawn(
                spawn.get_executable(),
                spawn.get_command_line(tracker_fd=tracker, pipe_handle=read_message),
                process.environment or {},
                # A descriptor duplicated onto itself is one that stays open; all others close.
                file_actions=[(os.POSIX_SPAWN_DUP2, fd, fd) for fd in self._fds],
                setsigmask=[signal.SIGINT],
            )
        finally:
            os.close(read_message)
            os.close(held_by_child)
        with open(write_message, "wb", closefd=False) as pipe:
            pipe.write(message)

    def _message(self, process: _Process) -> bytes:
        """What `multiprocessing.spawn.spawn_main` reads: how to set the interpreter up, and the process object."""
        told = spawn.get_preparation_data(process.name)
        file = BytesIO()
        set_spawning_popen(self)
        try:
            reduction.dump({key: value for key, value in told.items() if key in _PREPARATION}, file)
            reduction.dump(process, file)
        finally:
            set_spawning_popen(None)
        return file.getvalue()


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
