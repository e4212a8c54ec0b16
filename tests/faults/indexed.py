"""Whether an index equals the sidecars, looked up in both, without any of the product's own comparing or listing.

Every sidecar below `done/` of the generation that serves has exactly one document, which names the sidecar's ETag, and
says what the sidecar says, or what people decided; and there is no other document.
"""

import gzip
import json
import sqlite3
import zlib
from base64 import b64decode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tantivy
from httpx import HTTPStatusError

from tests.faults import invariant
from tests.faults.cluster import Cluster

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

ROOT = ".stockmeta/"


@dataclass(frozen=True)
class Held:
    """What is compared of one image.

    Attributes:
        tag: of the document; of the sidecar, and of what people decided, their ETags.
        etag: the image's.
        keywords: concepts, or words where they are none, in their order.
        embedding: bytes of float16.
    """

    tag: str
    etag: str | None
    generation: str
    title: str | None
    keywords: tuple[str, ...]
    phash: str | None
    embedding: bytes | None


def problems(sidecars: Mapping[str, Held], index: Mapping[str, Held]) -> list[str]:
    """How the two differ, in words; nothing where they do not."""
    found = [f"{key!r} has a sidecar and no document" for key in sorted(sidecars.keys() - index.keys())]
    found += [f"{key!r} has a document and no sidecar" for key in sorted(index.keys() - sidecars.keys())]
    for key in sorted(sidecars.keys() & index.keys()):
        right, there = sidecars[key], index[key]
        wrong = [each.name for each in fields(Held) if getattr(right, each.name) != getattr(there, each.name)]
        if wrong:
            told = ", ".join(f"{name} {getattr(there, name)!r} and not {getattr(right, name)!r}" for name in wrong)
            found.append(f"the document of {key!r} is wrong: {told[:400]}")
    return found


def serving(client: "S3Client", bucket: str) -> str:
    """The generation that serves, as the pointer says."""
    current = json.loads(client.get_object(Bucket=bucket, Key=f"{ROOT}current.json")["Body"].read())
    return str(current["serving"])


def tags(client: "S3Client", bucket: str, generation: str) -> dict[str, str]:
    """What the tags of the documents have to be, by key: one listing."""
    done, human = f"{ROOT}{generation}/done/{bucket}/", f"{ROOT}human/{bucket}/"
    everything = invariant.objects(client, bucket)
    decided = {path[len(human) : -5]: etag for path, etag in everything.items() if path.startswith(human)}
    listed = {path[len(done) : -5]: etag for path, etag in everything.items() if path.startswith(done)}
    return {key: f"1:{etag}" + (f"+{decided[key]}" if key in decided else "") for key, etag in listed.items()}


def of_sidecars(client: "S3Client", bucket: str) -> dict[str, Held]:
    """What every sidecar of a bucket says, read one by one."""
    generation = serving(client, bucket)

    def read(path: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(client.get_object(Bucket=bucket, Key=path)["Body"].read())
        return found

    def held(key: str, tag: str) -> Held:
        human = read(f"{ROOT}human/{bucket}/{key}.json") if "+" in tag else {}
        return _of_record(read(f"{ROOT}{generation}/done/{bucket}/{key}.json"), human, tag)

    found = tags(client, bucket, generation)
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(found, pool.map(held, found.keys(), found.values()), strict=True))


def _of_record(record: dict[str, Any], human: dict[str, Any], tag: str) -> Held:
    embedded = record["embedded"] or {}
    generated = None if record["title"] == "Untitled picture" else record["title"]
    title = human.get("title") or embedded.get("title") or embedded.get("headline") or generated
    vector = record["embedding"]
    return Held(
        tag,
        record["image"]["etag"],
        record["generation"],
        title,
        tuple(keyword["id"] for keyword in record["keywords"]),
        record["visual"] and record["visual"]["phash"],
        vector and b64decode(vector["float16"]),
    )


def _of_document(document: dict[str, Any], vector: bytes | None) -> Held:
    terms = sorted(document["keywords"], key=lambda term: term["rank"])
    return Held(
        document["tag"],
        document["etag"],
        document["generation"],
        document["title"],
        tuple(term["concept"] or next(iter(term["labels"].values())) for term in terms),
        document["phash"],
        vector,
    )


def of_cluster(cluster: Cluster, alias: str) -> dict[str, Held]:
    """What a search in a cluster finds."""
    with suppress(HTTPStatusError):
        cluster.ask("POST", f"/{alias}/_refresh")
    return {
        key: _of_document(source, source["embedding"] and b64decode(source["embedding"]["float16"]))
        for key, source in cluster.documents(alias).items()
    }


def of_folder(index: Path) -> dict[str, Held]:
    """What the embedded index has. Raises `AssertionError` while its words are of other rows."""
    found = {}
    for key, tag, body, vector in _rows(index, "key, tag, body, vector"):
        document = json.loads(zlib.decompress(body))
        assert (document["key"], document["tag"]) == (key.decode(), tag)
        found[document["key"]] = _of_document(document, vector)
    return found


def of_files(out: Path, bucket: str) -> dict[str, Held]:
    """What NDJSON files come to, applied one after the other."""
    documents: dict[str, dict[str, Any]] = {}
    folder = _serving(out / bucket, "folder")
    if folder is None:
        return {}
    for file in json.loads((folder / "manifest.json").read_bytes())["files"]:
        for line in gzip.decompress((folder / file["name"]).read_bytes()).splitlines():
            change = json.loads(line)
            if change["op"] == "remove":
                documents.pop(change["key"], None)
            else:
                documents[change["key"]] = change["document"]
    return {
        key: _of_document(document, document["embedding"] and b64decode(document["embedding"]["float16"]))
        for key, document in documents.items()
    }


def tags_of_folder(index: Path) -> dict[str, str]:
    """Tags of the embedded index by key; nothing where there is none yet. Raises as `of_folder` does."""
    return {key.decode(): tag for key, tag in _rows(index, "key, tag")}


def _rows(index: Path, columns: str) -> list[tuple[Any, ...]]:
    folder = _serving(index)
    if folder is None:
        return []
    address = f"{(folder / 'documents.sqlite').absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as database:
        database.execute("BEGIN")
        (sequence,) = database.execute("SELECT value FROM meta WHERE name = 'sequence'").fetchone()
        there = "FROM documents JOIN bodies USING (row) WHERE tag IS NOT NULL"
        found = database.execute(f"SELECT row, {columns} {there}").fetchall()
    words, came_to = _words(folder / "text")
    assert came_to == sequence, f"the words have come to change {came_to} of {sequence}"
    assert words == {number for number, *_ in found}, "the words are of other rows"
    return [tuple(row) for _, *row in found]


def _serving(index: Path, name: str = "index") -> Path | None:
    try:
        return index / str(json.loads((index / "serving.json").read_bytes())[name])
    except FileNotFoundError:
        return None


def _words(folder: Path) -> tuple[set[int], int]:
    """Rows that tantivy has, and up to which change it has come, which its row 0 says."""
    words = tantivy.Index.open(str(folder))
    words.reload()
    searcher = words.searcher()
    if not searcher.num_docs:
        return set(), 0
    hits = searcher.search(tantivy.Query.all_query(), limit=searcher.num_docs, order_by_field="row").hits
    rows = {int(row): address for row, address in hits}
    assert len(rows) == len(hits), "tantivy has a row twice"
    (came_to,) = searcher.fast_field_values("sequence", [rows.pop(0)])
    return set(rows), int(came_to)
