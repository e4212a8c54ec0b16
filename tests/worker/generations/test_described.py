"""What a generation's description says of settings and of what is loaded."""

from pathlib import Path

from tasks.describe import Provenance
from tasks.generations.description import Sight
from taxonomy.policy import Policy
from worker.encoders.fake import FakeEncoder
from worker.generations.described import description, sight
from worker.settings import load_settings

PROVENANCE = Provenance("a" * 12, "local-dir:/home/someone/weights", "fake", "0123")
SEEN = Sight("encoder", "1", "1")


def test_files_are_told_by_name_and_nothing_else_of_this_machine(tmp_path: Path) -> None:
    settings = load_settings(
        model="local-dir:/home/someone/weights",
        vocabulary=tmp_path / "words.txt",
        schemes=(tmp_path / "agency.tsv", tmp_path / "other.tsv"),
        broker_url="redis://:secret@host/0",
        library=str(tmp_path),
    )
    told = description(
        settings, PROVENANCE, Policy(languages=("en", "ko")), SEEN, {"short": "s", "long": "x" * 100_000}
    )
    assert told.settings["vocabulary"] == "words.txt"
    assert told.settings["schemes"] == "agency.tsv,other.tsv"
    assert told.model == told.settings["model"] == "local-dir:weights"
    assert told.languages == ("en", "ko")
    assert told.parts["short"] == "s"
    assert len(told.parts["long"]) == 16
    text = told.to_json().decode()
    for hidden in (str(tmp_path), "secret", "someone", "redis"):
        assert hidden not in text


def test_the_sight_is_the_encoder_s_and_the_generator_s() -> None:
    encoder = FakeEncoder()
    seen = sight(encoder, None, None)
    assert seen.encoder == encoder.fingerprint
    assert (seen.generator, seen.rendition) == ("", "")
    assert seen.decoding
    assert seen.reading
