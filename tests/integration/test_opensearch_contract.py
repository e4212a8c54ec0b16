"""The index against the one in memory that stands for the contract: whatever is delivered, both agree."""

import random
from collections.abc import Iterator

import pytest
from osmem_server import OsmemServer

from tasks.feeding.ports import Operation, Put, Remove
from tests.faults.proxy import Cut, Passing
from tests.integration.opensearch_stage import running, staged
from tests.tasks.feeding.memory_index import MemoryIndex
from tests.worker.feeds.opensearch.indexed_documents import GENERATION, document

KEYS = [f"{n}.jpg" for n in range(12)]


@pytest.fixture(scope="module")
def server() -> Iterator[OsmemServer]:
    with running() as server:
        yield server


def operations(chance: random.Random) -> list[Operation]:
    made: list[Operation] = []
    for key in chance.sample(KEYS, chance.randrange(1, len(KEYS))):
        version = chance.randrange(1, 200)
        forced = chance.random() < 0.2
        made.append(Remove(key, version) if chance.random() < 0.4 else Put(document(key, version), forced))
    return made


@pytest.mark.parametrize("seed", range(5))
def test_it_does_what_the_contract_says(server: OsmemServer, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    with staged(server) as stage:
        sink = stage.sink()
        index, right = sink.open(GENERATION), MemoryIndex(GENERATION)
        for _ in range(40):
            made = operations(chance)
            assert index.deliver(made) == right.deliver(made)
            assert index.indexed(KEYS) == right.indexed(KEYS)
        assert list(index.listed()) == list(right.listed())
        sink.close()


@pytest.mark.parametrize("seed", range(3))
def test_so_it_does_when_connections_are_cut_as_long_as_one_looks_again(server: OsmemServer, seed: int) -> None:
    """What was done before a cut comes back as outrun, and is what the index has."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    with staged(server) as stage:
        sink = stage.sink(attempts=50)
        index, right = sink.open(GENERATION), MemoryIndex(GENERATION)

        def cut(passing: Passing) -> None:
            if passing.before == 0 and chance.random() < 0.2:
                raise Cut(passing.data[:100] if passing.toward == "client" else b"")

        with stage.proxy.rule(cut):
            for _ in range(30):
                made = [each for each in operations(chance) if isinstance(each, Remove) or not each.forced]
                got, should = index.deliver(made), right.deliver(made)
                assert set(should.outrun) <= set(got.outrun)
                assert not got.refused
            assert list(index.listed()) == list(right.listed())
        sink.close()
