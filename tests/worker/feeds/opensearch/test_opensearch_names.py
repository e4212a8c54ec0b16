import pytest

from tasks.errors import ConfigurationError
from worker.feeds.opensearch import names


def test_a_plain_bucket_gives_a_plain_name() -> None:
    assert names.default_name("photos") == "stockmeta-photos"
    assert names.default_name("my.photos-2024_b") == "stockmeta-my.photos-2024_b"


@pytest.mark.parametrize("bucket", ["Photos", "사진", "a b", "a/b", "_a", ".", "", "x" * 255, "a\ud800"])
def test_whatever_a_bucket_is_called_its_name_is_legal_and_its_own(bucket: str) -> None:
    name = names.default_name(bucket)
    assert names.checked(name) == name and name != names.default_name(bucket + "x")
    longest = names.writes(names.index_name(name, "0123456789ab", 10**6))
    assert len(longest.encode()) <= 255 and longest == longest.lower()


def test_libraries_that_would_look_alike_have_different_names() -> None:
    places = [
        ("photos", ""),
        ("Photos", ""),
        ("photos", "2024/"),
        ("photos-2024", ""),
        ("photos", "2024"),
        ("pho", "tos"),
    ]
    assert len({names.default_name(*place) for place in places}) == len(places)


@pytest.mark.parametrize("name", ["", "Photos", "-a", "_a", ".a", "a*", "a,b", "a b", "사진", "a" * 181, "a/b"])
def test_names_that_the_cluster_would_refuse_are_refused_first(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be the name of an index"):
        names.checked(name)


def test_the_number_of_an_index_is_read_off_its_name_only_if_it_is_one() -> None:
    name = names.index_name("photos", "0123456789ab", 12)
    assert names.number_of(name, "photos", "0123456789ab") == 12
    for other in (names.writes(name), "photos-0123456789ab-x", "photos-0123456789ab-01", "photos-2-0123456789ab-1"):
        assert names.number_of(other, "photos", "0123456789ab") is None
    # A dot in a name stands for itself.
    assert names.number_of("aXb-0123456789ab-1", "a.b", "0123456789ab") is None
