"""Folders as references."""

from pathlib import Path

from tasks.layout import IMAGE_EXTENSIONS
from tasks.renditions import Renditions
from worker.inputs import Inputs


def test_renditions_in_a_folder_are_left_alone(photos: Path) -> None:
    (photos / "previews").mkdir()
    (photos / "previews" / "blue_1000.jpg").write_bytes((photos / "blue.jpg").read_bytes())
    renditions = Renditions("previews/{stem}_1000.jpg")
    inputs = Inputs([photos], IMAGE_EXTENSIONS, renditions=renditions)
    assert [ref.key for ref in inputs] == ["a red.jpg", "blue.jpg", "broken.jpg", "deep/녹색.jpg"]
    # One that is named outright is what somebody wants.
    named = photos / "previews" / "blue_1000.jpg"
    assert [ref.key for ref in Inputs([named], IMAGE_EXTENSIONS, renditions=renditions)] == ["blue_1000.jpg"]
