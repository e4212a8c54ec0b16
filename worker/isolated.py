"""The process for suspect images: started when there is one, ended when there is none for a while.

Parent and child speak JSON: a line to the child and one back for each image, and before that lines that say when the
child begins and ends to wait for the store. The child is this module run as a program.
"""

import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

from tasks.describe import Provenance
from tasks.errors import Crashed, Reason, Unavailable
from tasks.records import ImageRef, Outcome, Record
from tasks.redo import Redo
from worker.children import other_environment
from worker.settings import Settings

logger = logging.getLogger(__name__)

START_SECONDS = 600.0
"""A first start converts the model and embeds the vocabulary."""
IDLE_SECONDS = 60.0

INNOCENT = frozenset({"SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGKILL"})
"""Signals that come from outside. SIGKILL is also the kernel's, out of memory: its own counter tells."""


class IsolatedProcess:
    """`tasks.suspects.Isolated`, as a child process with a model of its own. For many threads; one gets in at a time.

    Args:
        settings: for the child; it gets no broker.
        seconds: how long an image may take there, and how long the store may, for one image.
        idle: seconds without an image after which the child is stopped, for its memory.
    """

    def __init__(self, settings: Settings, seconds: float, idle: float = IDLE_SECONDS) -> None:
        self._settings = settings
        self._seconds = seconds
        self._idle = idle
        self._lock = threading.RLock()
        self._child: subprocess.Popen[bytes] | None = None
        self._lines: _Lines | None = None
        self._provenance: Provenance | None = None
        self._used = time.monotonic()
        self._closed = threading.Event()
        threading.Thread(target=self._reap, name="isolated-idle", daemon=True).start()

    def provenance(self) -> Provenance:
        """See `tasks.suspects.Isolated`."""
        with self._lock:
            if self._provenance is None:
                self._start()
            assert self._provenance is not None
            return self._provenance

    def attempt(self, ref: ImageRef, *, redo: Redo | None = None) -> Outcome:
        """See `tasks.suspects.Isolated`."""
        with self._lock:
            child = self._start()
            kills = out_of_memory_kills()
            try:
                asked = {"bucket": ref.bucket, "key": ref.key, "etag": ref.etag}
                answer = self._ask(child, {"ref": asked, "redo": redo and redo.to_dict()})
            except Unavailable:
                self._stop()
                raise
            except TimeoutError:
                self._stop()
                detail = f"it was still worked on after {self._seconds:g} seconds, in a process of its own"
                raise Crashed(Reason.WORKER_TIMEOUT, detail) from None
            except EOFError:
                raise self._verdict(child, kills) from None
            finally:
                self._used = time.monotonic()
        record = Record.from_json(json.dumps(answer["record"]))
        if record.reason == Reason.INTERNAL:
            raise Crashed(Reason.INTERNAL, record.detail or "")
        return Outcome(ref, record, answer["cached"], answer["committed"])

    def close(self) -> None:
        """End the child, whatever it is at; an `attempt` under way ends as `Unavailable`."""
        self._closed.set()
        child = self._child
        if child is not None:
            child.kill()
        with self._lock:
            self._stop()

    def _start(self) -> "subprocess.Popen[bytes]":
        """The child, ready for an image. Raises `Unavailable`."""
        if self._child is not None and self._child.poll() is None:
            return self._child
        if self._closed.is_set():
            raise Unavailable("this worker is to end")
        self._stop()
        command = [sys.executable, "-P", "-m", "worker.isolated"]
        environment = other_environment() | self._settings.to_environment("broker_url", "webhook_secret", "http_port")
        try:
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)  # noqa: S603 - our own module
        except OSError as error:
            # No memory, or no more processes: it may pass.
            raise Unavailable(f"the process for suspect images cannot be started: {error.strerror}") from error
        self._child = child
        assert child.stdout is not None
        self._lines = _Lines(child.stdout)
        try:
            ready: dict[str, Any] = {}
            while not ready.keys() & {"made", "error"}:
                ready = json.loads(self._lines.read(START_SECONDS))
        except (EOFError, TimeoutError):
            self._stop()
            raise Unavailable("the process for suspect images did not start; its log says why") from None
        if "error" in ready:
            self._stop()
            raise Unavailable(f"the process for suspect images did not start: {ready['error']}")
        self._provenance = Provenance(**ready["made"])
        return child

    def _ask(self, child: "subprocess.Popen[bytes]", question: object) -> dict[str, Any]:
        """One line there, the answer back.

        Raises:
            EOFError: the child ended.
            TimeoutError: it took too long, not counting the time for which it waited for the store.
            Unavailable: the store took as long.
        """
        assert child.stdin is not None and self._lines is not None
        try:
            child.stdin.write(json.dumps(question).encode() + b"\n")
            child.stdin.flush()
        except OSError:
            raise EOFError from None
        left, waiting = {True: self._seconds, False: self._seconds}, False
        while True:
            began = time.monotonic()
            try:
                answer: dict[str, Any] = json.loads(self._lines.read(left[waiting]))
            except TimeoutError:
                if waiting:
                    raise Unavailable(f"the store kept the image waiting for {self._seconds:g} seconds") from None
                raise
            if "record" in answer:
                return answer
            left[waiting] -= time.monotonic() - began
            waiting = answer["waiting"]

    def _verdict(self, child: "subprocess.Popen[bytes]", kills: int) -> Exception:
        """Whose fault the child's end was."""
        code = child.wait()
        self._stop()
        if code >= 0:
            return Crashed(Reason.WORKER_CRASHED, f"the process that worked on it alone ended with status {code}")
        if self._closed.is_set():
            return Unavailable("this worker is to end")
        name = signal_name(-code)
        killed = name == "SIGKILL" and out_of_memory_kills() > kills
        if name in INNOCENT and not killed:
            return Unavailable(f"the process for suspect images was stopped from outside ({name})")
        why = "the system had no memory left" if killed else name
        return Crashed(Reason.WORKER_CRASHED, f"the process that worked on it alone was ended: {why}")

    def _stop(self) -> None:
        """Make sure that there is no child."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                stream.close()

    def _reap(self) -> None:
        while not self._closed.wait(min(self._idle, 5.0)):
            # Not waited for: while somebody is at work it is not idle.
            if self._lock.acquire(blocking=False):
                try:
                    if time.monotonic() - self._used > self._idle:
                        self._stop()
                finally:
                    self._lock.release()


class _Lines:
    """The lines of a pipe that nobody else reads."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._read = b""

    def read(self, seconds: float) -> bytes:
        """The next one. Raises `EOFError`, `TimeoutError`."""
        give_up = time.monotonic() + seconds
        while b"\n" not in self._read:
            ready, _, _ = select.select([self._stream], [], [], max(0.0, give_up - time.monotonic()))
            if not ready:
                raise TimeoutError
            # Not `readline`, which would wait for the rest of a line without an end.
            part = os.read(self._stream.fileno(), 1 << 16)
            if not part:
                raise EOFError
            self._read += part
        line, _, self._read = self._read.partition(b"\n")
        return line


def out_of_memory_kills() -> int:
    """How many processes the kernel has killed for want of memory since it started; 0 where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def signal_name(number: int) -> str:
    """Name of a signal, such as `SIGSEGV`."""
    import signal

    return signal.Signals(number).name if number in signal.valid_signals() else f"signal {number}"


def main() -> None:
    """The child: reads an image a line; answers with what became of it."""
    from worker.isolated_child import serve

    serve()


if __name__ == "__main__":
    main()
