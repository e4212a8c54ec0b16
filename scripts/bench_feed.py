"""What a feed costs: documents a second into each kind of index, how far it lags behind, and its memory.

All on one machine, in one run: SeaweedFS as the store, Valkey as Redis, and as the cluster osmem-server, which speaks
OpenSearch's API and keeps all in memory. So what is said of `opensearch` is what the feed and the way there cost, and
nothing about a real cluster.

1. Filling. Synthetic sidecars (40 keywords in two languages, 512 dimensions, 7.5 kB) in a folder and in SeaweedFS.
   `stockmeta feed ... --full` as a process, start included: documents a second, and its processor time. Then the same
   piece by piece, one after the other: reading sidecars (16 at once from SeaweedFS), making documents, delivering them.
   Then a comparison that finds nothing.
2. Lag. Sidecars are put and announced at a steady rate, as workers do; from the end of the PUT until a search from
   outside finds the document.
3. Memory of a comparison that delivers a million documents that are generated (10 keywords, 64 dimensions): into a sink
   that discards them, into files, and fewer of them into the embedded index, whose vectors lie in memory.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from bench_feed_filling import HEADINGS, SINKS, Place, filling
from bench_feed_lag import environment, lag
from bench_feed_library import GENERATION, LAYOUT, fill_folder, fill_seaweed
from bench_feed_memory import memory

from tasks.generations.pointer import open_generation
from tests.faults.cluster import Cluster, cluster
from tests.servers import REGION, Server, seaweed_server
from worker.broker import embedded_broker
from worker.library import open_library
from worker.settings import Settings, load_settings

CORES = os.cpu_count() or 1


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sidecars", type=int, default=20_000, help="to fill from; 0: not")
    parser.add_argument("--rate", type=float, default=50.0, help="commits a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="of these; 0: no lag")
    parser.add_argument("--documents", type=int, default=1_000_000, help="for memory; 0: not")
    parser.add_argument("--local-documents", type=int, default=100_000, help="of these in the embedded index")
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it runs")
    given = parser.parse_args()
    if given.quick:
        given.sidecars, given.seconds, given.documents, given.local_documents = 1000, 5.0, 10_000, 5000
    print(f"{CORES} cores, load {os.getloadavg()[0]:.1f} at the beginning", flush=True)
    with tempfile.TemporaryDirectory(prefix="stockmeta-bench-") as folder:
        scratch = Path(folder)
        if given.sidecars or given.seconds:
            (scratch / "store").mkdir()
            with seaweed_server(scratch / "store") as server, cluster(scratch) as engine:
                os.environ.update(server.environment)
                on_servers(given, server, engine, scratch)
        if given.documents:
            print("memory of a comparison that delivers everything:", flush=True)
            for sink, count in (
                ("none", given.documents),
                ("ndjson", given.documents),
                ("local", given.local_documents),
            ):
                print(memory(sink, count), flush=True)
    return 0


def on_servers(given: argparse.Namespace, server: Server, engine: Cluster, scratch: Path) -> None:
    """Filling and lag."""
    settings = load_settings(
        model="fake", s3_endpoint=server.endpoint, s3_region=REGION, s3_addressing="path", cache_dir=scratch / "cache"
    )
    if given.sidecars:
        print(f"filling from {given.sidecars:,} sidecars; documents a second:\n{HEADINGS}", flush=True)
        for place in (in_folder(settings, scratch, given.sidecars), in_bucket(settings, server, given.sidecars)):
            for sink in SINKS:
                print(filling(place, sink, engine, scratch), flush=True)
    if given.seconds:
        print(f"lag at {given.rate:g} commits a second for {given.seconds:g} s, from SeaweedFS:", flush=True)
        for sink in ("local", "opensearch"):
            with embedded_broker() as broker:
                url = f"http://127.0.0.1:{engine.port}"
                ours = load_settings(**settings.model_dump(exclude_unset=True), broker_url=broker, opensearch_url=url)
                print(lag(sink, ours, server, engine, scratch, given.rate, given.seconds), flush=True)


def in_folder(settings: Settings, scratch: Path, count: int) -> Place:
    """A folder with sidecars."""
    folder = scratch / "library"
    folder.mkdir()
    fill_folder(folder, count)
    ours = load_settings(model="fake", library=str(folder), cache_dir=settings.cache_dir)
    return Place("folder", open_library(ours), str(folder), environment(ours), count)


def in_bucket(settings: Settings, server: Server, count: int) -> Place:
    """A bucket with sidecars."""
    bucket = server.make_bucket()
    url = f"s3://{bucket}"
    ours = settings.model_copy(update={"library": url})
    library = open_library(ours)
    open_generation(library.sidecars, LAYOUT, GENERATION)
    fill_seaweed(server, bucket, count)
    return Place("SeaweedFS", library, url, environment(settings) | server.environment, count)


if __name__ == "__main__":
    sys.exit(main())
