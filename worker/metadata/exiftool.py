"""exiftool, one process for many files: it puts blocks of metadata into files, and knows each format's ways.

It is given names of files in a folder of our own and nothing else: what is to be written lies in files, too. So no
value, and no name that a photographer chose, is ever read as an option (exiftool takes one argument a line).
"""

import base64
import hashlib
import json
import os
import re
import selectors
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from tasks.errors import ConfigurationError, Crashed, Reason, Rejected, Unavailable

LEAST_VERSION = (12, 38)
"""Older ones run what a file's name says (CVE-2022-23935) or what a file holds (CVE-2021-22204)."""
SECONDS = 60.0
MEMORY = 2 << 30
INSTALL = (
    "install it (apt install libimage-exiftool-perl, brew install exiftool), or say with STOCKMETA_EXIFTOOL where it is"
)

# At the end of its input exiftool waits for more, for ever: it has to be told that its parent is gone (prctl(2), 1 is
# PR_SET_PDEATHSIG), and it reads files of strangers: it has to do with so much memory.
_LAUNCH = """
import ctypes, os, resource, signal, sys
parent, memory, program, *arguments = sys.argv[1:]
for limit, value in (resource.RLIMIT_AS, int(memory)), (resource.RLIMIT_CORE, 0):
    try:
        resource.setrlimit(limit, (value, value))
    except (ValueError, OSError):
        pass  # it is lower already, or the system has none
try:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
except AttributeError:
    pass
if os.getppid() == int(parent):
    os.execv(program, [program, *arguments])
"""
_READY = b"{ready}\n"
_ERROR = re.compile(r"^Error: (.*?)(?: - /.*)?$", re.MULTILINE)


class Blocks(NamedTuple):
    """The metadata of a file, as blocks; `None` where there is none.

    Attributes:
        xmp: the packet.
        iim: the datasets; `None` as well where there are two such blocks, which are left alone.
        description: Exif ImageDescription, which may be empty.
        extended: whether the packet goes on in a second part, as a JPEG's may.
    """

    xmp: bytes | None = None
    iim: bytes | None = None
    description: str | None = None
    extended: bool = False


class ExifTool:
    """A running exiftool; safe to share among threads, which take turns.

    Args:
        program: its name or path.
        seconds: how long one file may take it.

    Raises:
        ConfigurationError: it is missing, or too old.
    """

    def __init__(self, program: str = "exiftool", seconds: float = SECONDS) -> None:
        found = shutil.which(program)
        if found is None:
            raise ConfigurationError(f"there is no {program!r}, which writes metadata into images: {INSTALL}")
        self._program = str(Path(found).absolute())
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="stockmeta-")
        self._scratch = Path(self._folder.name).resolve()
        if "\n" in str(self._scratch):
            raise ConfigurationError(f"TMPDIR={str(self._scratch)!r}: the folder's name has a line end in it")
        self.version = self._require_version()

    def read(self, data: bytes, suffix: str) -> Blocks:
        """The metadata of a file, whose format has this suffix. Raises `Rejected`, `Crashed`, `Unavailable`."""
        with self._lock:
            image = self._put_image(suffix, data)
            arguments = ["-j", "-b", "-a", "-G4", "-XMP", "-IPTC", "-IFD0:ImageDescription", "-XMP-xmpNote:all"]
            output = self._execute([*arguments, str(image)])
        try:
            # A text that looks like a number is one to exiftool.
            (found,) = json.loads(output, parse_int=str, parse_float=str)
        except ValueError as error:
            raise Rejected(Reason.UNREADABLE, "exiftool cannot read it") from error
        # A name is preceded by what tells a second one of its kind: `Copy1:XMP`.
        extended = any(name.endswith(":HasExtendedXMP") or re.match(r"Copy\d+:XMP$", name) for name in found)
        first = {name.rpartition(":")[2]: value for name, value in reversed(found.items())}
        description = first.get("ImageDescription")
        # Of two IIM blocks, as FotoStation and some TIFFs have them, exiftool would make one.
        twice = any(re.match(r"Copy\d+:IPTC$", name) for name in found)
        return Blocks(
            _bytes(first.get("XMP")),
            None if twice else _bytes(first.get("IPTC")),
            None if description is None else (_bytes(description) or b"").decode(errors="replace"),
            extended,
        )

    def write(self, data: bytes, suffix: str, blocks: Blocks) -> bytes:
        """A file with other blocks; those that are `None` stay. Raises `Rejected`, `Crashed`, `Unavailable`."""
        arguments = ["-overwrite_original", "-api", "PNGEarlyXMP=1", "-charset", "exif=UTF8"]
        with self._lock:
            image = self._put_image(suffix, data)
            if blocks.xmp is not None:
                arguments.append(f"-XMP<={self._put('xmp', blocks.xmp)}")
            if blocks.iim is not None:
                arguments += [f"-IPTC<={self._put('iim', blocks.iim)}", f"-Photoshop:IPTCDigest={_digest(blocks.iim)}"]
            if blocks.description is not None:
                text = self._put("description", blocks.description.encode())
                arguments.append(f"-IFD0:ImageDescription<={text}")
            self._execute([*arguments, str(image)])
            try:
                return image.read_bytes()
            except OSError as error:
                raise Unavailable(f"the temporary folder cannot be read: {error.strerror}") from error

    def close(self) -> None:
        """End the process and remove its folder."""
        self._end()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _put_image(self, suffix: str, data: bytes) -> Path:
        # What one that ended left half written, the next takes for another's work in progress, for ever.
        for left in self._scratch.glob("*"):
            left.unlink(missing_ok=True)
        return self._put(f"image{suffix}", data)

    def _put(self, name: str, data: bytes) -> Path:
        path = self._scratch / name
        try:
            path.write_bytes(data)
        except OSError as error:
            raise Unavailable(f"the temporary folder cannot be written: {error.strerror}") from error
        return path

    def _require_version(self) -> str:
        try:
            text = self._execute(["-ver"]).decode(errors="replace").strip()
        except (Crashed, Rejected) as error:
            self.close()
            raise ConfigurationError(
                f"{self._program} does not work as exiftool does ({error.detail}): {INSTALL}"
            ) from error
        match = re.match(r"(\d+)\.(\d+)", text)
        if match is None or (int(match[1]), int(match[2])) < LEAST_VERSION:
            least = ".".join(map(str, LEAST_VERSION))
            self.close()
            raise ConfigurationError(
                f"{self._program} is exiftool {text or '?'}; at least {least} is needed: {INSTALL}"
            )
        return text

    def _execute(self, arguments: list[str]) -> bytes:
        """Run one command, and give its output. What it says on standard error as an error is raised."""
        process = self._running()
        assert process.stdin is not None
        lines = [*arguments, "-echo4", "{ready}", "-execute"]
        try:
            process.stdin.write("".join(f"{line}\n" for line in lines).encode())
            process.stdin.flush()
            output, errors = self._collect(process)
        except (BrokenPipeError, EOFError) as error:
            self._end()
            raise Crashed(Reason.DECODER_CRASHED, "exiftool ended while it worked on it") from error
        except TimeoutError as error:
            self._end()
            raise Crashed(Reason.DECODER_TIMEOUT, f"exiftool took longer than {self._seconds:g} s") from error
        if said := _ERROR.search(errors.decode(errors="replace")):
            raise Rejected(Reason.UNREADABLE, f"exiftool: {said[1]}")
        return output

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        # No configuration of the user's, which is a program; and nothing of the environment that Perl would heed.
        command = [self._program, "-config", "", "-stay_open", "True", "-@", "-"]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TMPDIR": str(self._scratch)}
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the program that the operator named
                [sys.executable, "-I", "-c", _LAUNCH, str(os.getpid()), str(MEMORY), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
            )
        except OSError as error:
            raise Unavailable(f"exiftool cannot be started: {error.strerror}") from error
        return self._process

    def _collect(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        """Standard output and error up to their marks. Raises `EOFError`, `TimeoutError`."""
        assert process.stdout is not None
        assert process.stderr is not None
        deadline = time.monotonic() + self._seconds
        collected = {process.stdout: bytearray(), process.stderr: bytearray()}
        with selectors.DefaultSelector() as selector:
            for stream in collected:
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                left = deadline - time.monotonic()
                events = selector.select(max(left, 0))
                if left <= 0 or not events:
                    raise TimeoutError
                for key, _ in events:
                    if not (piece := os.read(key.fd, 1 << 16)):
                        raise EOFError
                    collected[key.fileobj] += piece  # type: ignore[index]  # one of the two
                    if collected[key.fileobj].endswith(_READY):  # type: ignore[index]  # likewise
                        selector.unregister(key.fileobj)
        output, errors = (bytes(part.removesuffix(_READY)) for part in collected.values())
        return output, errors

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        # Closing may flush what nobody reads any more.
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                continue


def _digest(iim: bytes) -> str:
    """What tells programs that IIM and XMP are of the same time (MWG Guidelines 2.0, section 3.3)."""
    return hashlib.md5(iim, usedforsecurity=False).hexdigest()


def _bytes(value: Any) -> bytes | None:
    """A value as exiftool writes it in JSON: text, or bytes that are none as base64."""
    if value is None:
        return None
    text = str(value)
    return base64.b64decode(text[7:]) if text.startswith("base64:") else text.encode()
