"""Which files go, in which order, and what becomes of them: by age, by size, and never one that is needed."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stored import JPEG, all_held, keep
from whatshooked import metrics
from whatshooked.media import sweep as module
from whatshooked.media.local import LocalStore
from whatshooked.media.retention import Limits, going, interesting
from whatshooked.media.store import YOUNG, Held
from whatshooked.media.sweep import Swept, sweep

NOW = 1_000_000_000.0
DAY = 86_400.0
NOTHING: set[tuple[str, str]] = set()


def held(name: str, *, days: float, size: int = 10, content: int | str = "") -> Held:
    """A file of some days ago; with a content of its own unless another's is named."""
    return Held("a", name, size, NOW - days * DAY, content or name)


def names(files: list[Held], limits: Limits, needed: set[tuple[str, str]] = NOTHING) -> list[tuple[str, str]]:
    """What goes, with the reason, in order."""
    return [(one.held.filename, one.reason) for one in going(files, limits, needed, NOW)]


def test_what_is_too_old_goes_first() -> None:
    """The oldest first; without a limit nothing ever goes."""
    files = [held("new", days=1), held("old", days=31), held("older", days=40)]
    assert names(files, Limits(30 * DAY, 0)) == [("older", "too_old"), ("old", "too_old")]
    assert names(files, Limits(0, 0)) == []


def test_what_is_too_much_goes_by_age() -> None:
    """As many as are over, after those that are too old anyway."""
    files = [held(str(days), days=days) for days in (5, 1, 3, 2, 40)]
    assert names(files, Limits(0, 25)) == [("40", "too_many_bytes"), ("5", "too_many_bytes"), ("3", "too_many_bytes")]
    assert names(files, Limits(30 * DAY, 35)) == [("40", "too_old"), ("5", "too_many_bytes")]
    assert names(files, Limits(0, 50)) == []


def test_a_needed_file_stays_and_another_goes_in_its_place() -> None:
    """However old it is and however much room all take."""
    files = [held("needed", days=40), held("old", days=3), held("new", days=2)]
    needed = {("a", "needed")}
    assert names(files, Limits(30 * DAY, 15), needed) == [("old", "too_many_bytes"), ("new", "too_many_bytes")]
    assert names(files, Limits(30 * DAY, 1), {("a", one.filename) for one in files}) == []


def test_a_file_of_this_hour_stays() -> None:
    """Its event may be on its way."""
    files = [held("young", days=YOUNG / DAY - 0.001), held("hour", days=YOUNG / DAY + 0.001)]
    assert names(files, Limits(1, 1)) == [("hour", "too_old")]
    assert names(files, Limits(0, 1)) == [("hour", "too_many_bytes")]


def test_a_shared_content_counts_once_and_goes_as_a_whole() -> None:
    """It is as old as its youngest name: to remove one of several frees nothing."""
    files = [
        held("a", days=9, content="shared"),
        held("b", days=1, content="shared"),
        held("c", days=5),
        held("d", days=3),
    ]
    assert names(files, Limits(0, 30)) == []
    assert names(files, Limits(0, 20)) == [("c", "too_many_bytes")]
    assert [name for name, _ in names(files, Limits(0, 5))] == ["c", "d", "a", "b"]
    assert [name for name, _ in names(files, Limits(0, 5), {("a", "b")})] == ["c", "d"]
    assert names(files, Limits(8 * DAY, 0)) == [("a", "too_old")]


FILES = st.lists(
    st.builds(
        Held,
        st.sampled_from("ab"),
        st.text("abc", min_size=1, max_size=2),
        st.just(0),
        st.floats(NOW - 50 * DAY, NOW),
        st.integers(1, 6),
    ).map(lambda one: one._replace(size=int(one.content) * 10)),
    max_size=30,
    unique_by=lambda one: (one.folder, one.filename),
)


@given(FILES, st.integers(0, 40), st.integers(0, 250), st.sets(st.tuples(st.sampled_from("ab"), st.text("abc"))))
def test_retention_keeps_its_word(files: list[Held], days: int, most: int, needed: set[tuple[str, str]]) -> None:
    """Nothing needed or young goes, nothing twice, nothing without need; what is left fits unless it has to stay."""
    limits = Limits(days * DAY, most)
    plan = going(files, limits, needed, NOW)
    gone = [one.held for one in plan]
    assert len({(one.folder, one.filename) for one in gone}) == len(gone)
    left = [one for one in files if one not in gone]
    free = [one for one in left if (one.folder, one.filename) not in needed and NOW - one.stored_at > YOUNG]
    for one in gone:
        assert (one.folder, one.filename) not in needed
        assert NOW - one.stored_at > YOUNG
    if days:
        assert not [one for one in free if NOW - one.stored_at > days * DAY]
    total = sum({one.content: one.size for one in left}.values())
    if most and total > most:
        stuck = {one.content for one in left if one not in free}
        assert {one.content for one in left} == stuck
    for_room = [one.held for one in plan if one.reason == "too_many_bytes"]
    if for_room:
        last = for_room[-1].content
        assert total + next(one.size for one in for_room if one.content == last) > most
    assert going([one for one in files if interesting(one, limits, NOW)], limits, needed, NOW) == plan


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A store in this test's folder."""
    return LocalStore(tmp_path / "media")


def age(store: LocalStore, filename: str, days: float) -> None:
    """Let a file be some days older than it is."""
    then = time.time() - days * DAY
    os.utime(store._abouts / "business" / f"{filename}.json", (then, then))


async def test_a_sweep_removes_and_counts(store: LocalStore) -> None:
    """Files by reason, and the bytes that came free; what is left is shown."""
    for name, days, content in (("a", 40, b"a"), ("b", 35, JPEG), ("c", 1, JPEG), ("needed", 99, b"needed")):
        await keep(store, name, content)
        age(store, name, days)
    before = metrics.MEDIA_REMOVED.labels("too_old")._value.get()

    async def needed() -> set[tuple[str, str]]:
        return {("business", "needed")}

    left = len(JPEG) + len(b"needed")
    assert await sweep(store, Limits(30 * DAY, 0), needed) == Swept({"too_old": 2}, 1, 2, left)
    assert {one.filename for one in await all_held(store)} == {"c", "needed"}
    assert await store.read("business", "c", 10**6) == JPEG
    assert metrics.MEDIA_REMOVED.labels("too_old")._value.get() - before == 2
    assert await sweep(store, Limits(0, 10), needed) == Swept({"too_many_bytes": 1}, len(JPEG), 1, len(b"needed"))


async def test_needed_is_asked_only_when_something_would_go_and_before_each_batch(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What becomes needed meanwhile stays; an account's id stands for its folder."""
    monkeypatch.setattr(module, "BATCH", 1)
    asked: list[int] = []

    async def needed() -> set[tuple[str, str]]:
        asked.append(1)
        return {("a/b", "first")} | ({("a/b", "second")} if len(asked) > 1 else set())

    await keep(store, "first", account="a/b")
    await keep(store, "second", account="a/b")
    await keep(store, "third", account="a/b")
    assert await sweep(store, Limits(30 * DAY, 0), needed) == Swept({}, 0, 3, len(JPEG))
    assert asked == []
    for path in store._abouts.rglob("*.json"):
        os.utime(path, (0, 0))
    assert await sweep(store, Limits(30 * DAY, 0), needed) == Swept({"too_old": 1}, 0, 2, len(JPEG))
    assert len(asked) == 3
    assert await store.has("a/b", "first") and await store.has("a/b", "second")
    assert not await store.has("a/b", "third")


async def test_a_sweep_of_nothing_makes_nothing(store: LocalStore) -> None:
    """Not even the folder."""

    async def needed() -> set[tuple[str, str]]:
        raise AssertionError

    assert await sweep(store, Limits(1, 1), needed) == Swept({}, 0)
    assert not store._folder.exists()
