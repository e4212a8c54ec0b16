"""Uploads as they happen: the store tells the listener, the listener the queue, the queue a worker."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.faults.stage import Oracle, stage
from tests.faults.test_event_faults import SECRET, event, listening, post
from tests.servers import free_ports, seaweed_server

PHOTOGRAPHS = 500
REPLAYS = 10
BATCH = 25


@pytest.mark.timeout(600)
def test_every_upload_gets_its_sidecar_and_replays_are_free(tmp_path: Path, cache_dir: Path) -> None:
    listener, metrics = free_ports(2)
    name = "WEED_NOTIFICATION_WEBHOOK"
    address = f"http://127.0.0.1:{listener}/"
    tells = {f"{name}_ENABLED": "true", f"{name}_ENDPOINT": address, f"{name}_BEARER_TOKEN": SECRET}
    (tmp_path / "weed").mkdir()
    oracle = Oracle("fake", cache_dir)
    with (
        seaweed_server(tmp_path / "weed", environment=tells) as store,
        stage(tmp_path, store, oracle, seed=7, CACHE_DIR=cache_dir) as made,
    ):
        made.worker(HTTP_PORT=metrics)
        with listening(made, listener), ThreadPoolExecutor(8) as pool:
            keys = [f"2026/{i % 7}/IMG_{i:04}.jpg" for i in range(PHOTOGRAPHS)]
            list(pool.map(made.put, keys))
            assert made.settle(240).done == PHOTOGRAPHS
            before = made.paths()
            batches = value(metrics, "stockmeta_batch_images_sum")
            assert batches >= PHOTOGRAPHS
            events = [event(made, key) for key in keys] * REPLAYS
            made.chance.shuffle(events)
            list(pool.map(lambda i: post(address, events[i : i + BATCH]), range(0, len(events), BATCH)))
            assert made.settle(240).done == PHOTOGRAPHS
        assert made.paths() == before
        # Not one image went through the model again.
        assert value(metrics, "stockmeta_batch_images_sum") == batches
    oracle.close()


def value(port: int, name: str) -> float:
    """A metric without labels, of the worker."""
    lines = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))
