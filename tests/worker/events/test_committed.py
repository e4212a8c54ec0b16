from tasks.generations.pointer import Current
from tasks.layout import Layout
from tasks.records import ImageRef
from worker.events.committed import committed_below
from worker.storage.memory import MemoryStore

OLD, SERVING, FILLING = "0" * 12, "a" * 12, "b" * 12


def test_records_below_a_folder_name_their_images() -> None:
    store, layout = MemoryStore("stock"), Layout()
    for path in (
        layout.done(SERVING, ImageRef("stock", "d/a.jpg")),
        layout.done(FILLING, ImageRef("stock", "d/a.jpg")),
        layout.done(FILLING, ImageRef("stock", "d/deep/b.jpg")),
        layout.failed(SERVING, ImageRef("stock", "d/broken.jpg")),
        layout.done(SERVING, ImageRef("stock", "d.jpg")),
        layout.done(SERVING, ImageRef("stock", "dd/c.jpg")),
        layout.done(SERVING, ImageRef("other", "d/c.jpg")),
        layout.done(OLD, ImageRef("stock", "d/old.jpg")),
        f"{layout.prefix('done', SERVING, 'stock', 'd/')}no record",
    ):
        store.put(path, b"{}", if_match=None)
    found = committed_below(store, layout, Current(SERVING, FILLING), "stock", "d/")
    assert set(found) == {"d/a.jpg", "d/deep/b.jpg", "d/broken.jpg"}
    assert not list(committed_below(store, layout, Current(), "stock", "d/"))
