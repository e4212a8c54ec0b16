"""What must hold after every fault, looked up in the bucket itself.

Every source object has exactly one current record: a sidecar that names its ETag and says what this very picture should
get, or a terminal record that names the reason. Nothing else lies among the outputs.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tasks.layout import OUTPUT_ROOT, Layout, Place
from tasks.records import Record

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

Expected = Callable[[bytes], Record]


@dataclass
class Finding:
    """What is wrong with a library, by kind; empty if nothing is.

    Attributes:
        lost: images without any record of their present content.
        wrong: with a record that says something else than this picture should get, or that cannot be read.
        terminal: images with a terminal record, and its reason: wrong for a good image.
        double: images that are done and failed.
        stray: what lies among the outputs and belongs to no image.
        probes: what a process left that was killed while it looked whether the store knows conditional writes.
        done: images with a right sidecar.
    """

    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    terminal: dict[str, str] = field(default_factory=dict)
    double: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    probes: list[str] = field(default_factory=list)
    done: int = 0

    def problems(self, allowed: Mapping[str, str]) -> list[str]:
        """What is wrong, in words; `allowed` are the images that have to end as terminal, and their reasons."""
        wrong = {key: reason for key, reason in self.terminal.items() if allowed.get(key) != reason}
        missing = {key: reason for key, reason in allowed.items() if key not in self.terminal}
        found = {
            "lost": self.lost,
            "wrong": self.wrong,
            "terminal though good, or for another reason": wrong,
            "not terminal though it should be": missing,
            "both done and failed": self.double,
            "belongs to no image": self.stray,
        }
        return [f"{what}: {which}" for what, which in found.items() if which]


def objects(client: "S3Client", bucket: str) -> dict[str, str]:
    """ETag by key, of everything in a bucket."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", ())}


def examine(client: "S3Client", bucket: str, generation: str, expected: Expected) -> Finding:
    """Compare every image of a bucket with every record. With nobody writing meanwhile."""
    layout = Layout()
    everything = objects(client, bucket)
    sources = {key: etag for key, etag in everything.items() if not layout.is_output(key)}
    places = {path: layout.parse(path) for path in everything if layout.is_output(path)}
    finding = Finding(probes=[path for path in places if path.startswith(f"{OUTPUT_ROOT}probe-")])
    finding.stray = sorted(set(_stray(places, sources, layout, generation, bucket)) - set(finding.probes))
    records = Counter[str]()
    for path, place in places.items():
        if place is None or path in finding.stray:
            continue
        records[place.key] += 1
        _judge(client, bucket, path, place, sources[place.key], expected, finding)
    finding.double = sorted(key for key, number in records.items() if number > 1)
    finding.lost += sorted(key for key in sources if not records[key])
    return finding


def committed(client: "S3Client", bucket: str) -> dict[str, Record]:
    """Every record of a bucket, by its path."""
    found = {}
    for path in objects(client, bucket):
        if path.startswith(OUTPUT_ROOT) and Layout().parse(path):
            found[path] = Record.from_json(client.get_object(Bucket=bucket, Key=path)["Body"].read())
    return found


def _stray(
    places: Mapping[str, Place | None], sources: Mapping[str, str], layout: Layout, generation: str, bucket: str
) -> Iterator[str]:
    for path, place in places.items():
        if place is None:
            if path not in (layout.current, layout.description(generation)):
                yield path
        elif place.key not in sources or place.generation != generation or place.bucket != bucket:
            yield path


def _judge(
    client: "S3Client", bucket: str, path: str, place: Place, etag: str, expected: Expected, finding: Finding
) -> None:
    try:
        record = Record.from_json(client.get_object(Bucket=bucket, Key=path)["Body"].read())
    except ValueError as error:
        finding.wrong.append(f"{path}: {error}")
        return
    if record.image.key != place.key or record.status.done != (place.kind == "done"):
        finding.wrong.append(f"{path}: it is of {record.image.key!r}, {record.status}")
    elif record.image.etag != etag:
        finding.lost.append(f"{place.key}: its record is of {record.image.etag}, and the image has {etag}")
    elif not record.status.done:
        finding.terminal[place.key] = str(record.reason)
    else:
        body = client.get_object(Bucket=bucket, Key=place.key)["Body"].read()
        different = _differences(record, expected(body))
        if different:
            finding.wrong.append(f"{place.key}: {', '.join(different)}")
        else:
            finding.done += 1


def _differences(record: Record, right: Record) -> list[str]:
    """Fields in which two records differ, of those that depend on the picture alone."""
    here, there = content(record), content(right)
    return [name for name in Record.__slots__ if getattr(here, name) != getattr(there, name)]


def content(record: Record) -> Record:
    """A record less its place and its times: the same for the same bytes, whoever made it."""
    image = replace(record.image, bucket="", key="", etag=None, version=None)
    return replace(record, image=image, revision=0, created_at="", updated_at="", timings_ms={})
