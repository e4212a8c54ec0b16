"""The files: what Python's csv reads of them is what was to be said."""

import csv
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import ConfigurationError
from taxonomy.agencies import Column, FileForm
from worker.exports.csv_files import Encoder, Files, Stream

HEADER = ["Filename", "Title"]
COLUMNS = (Column("Filename", "filename"), Column("Title", "title"))


def form(**changes: object) -> FileForm:
    return FileForm(COLUMNS, **changes)  # type: ignore[arg-type]  # as each test says


def parsed(data: bytes, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), delimiter=delimiter))


HOSTILE = st.text(st.sampled_from(list(",;\"'\n\r\0\t=+-@|é한글😀\ufeff\u2028 ab")) | st.characters(codec="utf-8"))


@given(
    st.lists(st.lists(HOSTILE, min_size=2, max_size=2), max_size=5),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["needed", "always"]),
    st.sampled_from(["crlf", "lf"]),
)
def test_any_text_comes_back_as_it_was(rows: list[list[str]], delimiter: str, quote: str, end: str) -> None:
    encoder = Encoder(form(delimiter=delimiter, quote=quote, line_end=end))
    assert parsed(b"".join(map(encoder.row, rows)), delimiter) == rows


def test_control_characters_are_never_unquoted() -> None:
    assert Encoder(form(line_end="lf")).row(["a\rb", "c"]) == b'"a\rb","c"\n'
    assert Encoder(form()).row(["a\0b", "c"]) == b'"a\0b","c"\r\n'


def test_the_byte_order_mark_comes_once_and_only_if_asked_for(tmp_path: Path) -> None:
    assert Encoder(form(byte_order_mark=True)).head(HEADER) == b"\xef\xbb\xbfFilename,Title\r\n"
    assert Encoder(form()).head(HEADER) == b"Filename,Title\r\n"


def test_one_file_keeps_its_name(tmp_path: Path) -> None:
    files = Files(form(rows=2), HEADER, tmp_path / "up.csv")
    files.write(["a", "b"])
    assert not (tmp_path / "up.csv").exists()
    (written,) = files.close()
    assert written.path == tmp_path / "up.csv"
    assert (written.rows, written.bytes) == (1, written.path.stat().st_size)
    assert [path.name for path in tmp_path.iterdir()] == ["up.csv"]


def test_split_by_rows(tmp_path: Path) -> None:
    files = Files(form(rows=2), HEADER, tmp_path / "up.csv")
    for number in range(5):
        files.write([str(number), "x"])
    written = files.close()
    assert [part.path.name for part in written] == ["up-001.csv", "up-002.csv", "up-003.csv"]
    assert [parsed(part.path.read_bytes())[1:] for part in written] == [
        [["0", "x"], ["1", "x"]],
        [["2", "x"], ["3", "x"]],
        [["4", "x"]],
    ]
    assert all(parsed(part.path.read_bytes())[0] == HEADER for part in written)


def test_split_by_bytes(tmp_path: Path) -> None:
    files = Files(form(bytes=1000), HEADER, tmp_path / "up.csv")
    for number in range(50):
        files.write([f"{number:03}", "한" * 20])
    written = files.close()
    assert len(written) > 3
    assert all(part.path.stat().st_size == part.bytes <= 1000 for part in written)
    assert sum(part.rows for part in written) == 50


def test_what_was_there_stays_until_the_new_one_is_whole_and_if_it_never_is(tmp_path: Path) -> None:
    out = tmp_path / "up.csv"
    out.write_text("old")
    files = Files(form(), HEADER, out)
    files.write(["a", "b"])
    files.discard()
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["up.csv"]


def test_parts_of_an_earlier_export_are_told(tmp_path: Path) -> None:
    (tmp_path / "up-002.csv").write_text("old")
    files = Files(form(), HEADER, tmp_path / "up.csv")
    assert files.leftovers(files.close()) == [tmp_path / "up-002.csv"]


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="it cannot be written"):
        Files(form(), HEADER, tmp_path / "missing" / "up.csv")
    with pytest.raises(ConfigurationError, match="is a folder"):
        Files(form(), HEADER, tmp_path)


def test_a_stream_says_when_it_is_more_than_one_file_takes() -> None:
    sent: list[bytes] = []
    stream = Stream(form(rows=1), HEADER, sent.append)
    stream.write(["a", "b"])
    assert not stream.over
    stream.write(["c", "d"])
    assert stream.over
    assert parsed(b"".join(sent)) == [HEADER, ["a", "b"], ["c", "d"]]


def test_every_file_of_an_earlier_export_is_told_and_no_other(tmp_path: Path) -> None:
    out = tmp_path / "up[1].csv"
    for name in ("up[1].csv", "up[1]-1000.csv", "up1-001.csv", "up[1]-01.csv", "up[1]-001.csv"):
        (tmp_path / name).write_text("old")
    files = Files(form(rows=1), HEADER, out)
    files.write(["a", "b"])
    files.write(["c", "d"])
    assert files.leftovers(files.close()) == [tmp_path / "up[1]-1000.csv", out]


def test_a_target_that_is_no_file_is_left_alone(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigurationError, match="leave --out away"):
        Files(form(), HEADER, pipe)
    assert pipe.is_fifo()
