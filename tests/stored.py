"""Keeps files in a store and looks at them, for tests of any kind of store."""

from typing import Any

from whatshooked.media.local import LocalStore
from whatshooked.media.store import About, Held, LocalFile, Store

JPEG = b"\xff\xd8 a picture " * 1000


async def keep(
    store: Store, filename: str = "m_1.jpg", content: bytes = JPEG, account: str = "business", **more: Any
) -> None:
    """Keep a file, given in pieces."""
    async with store.part() as part:
        for start in range(0, len(content), 1000):
            await part.write(content[start : start + 1000])
        about = About(more.get("mime_type", "image/jpeg"), more.get("original", ""), part.digest(), part.size)
        await part.keep(account, filename, about)


async def found(store: Store, filename: str = "m_1.jpg") -> LocalFile:
    """A file that must be there."""
    file = await store.find("business", filename)
    assert isinstance(file, LocalFile)
    return file


async def all_held(store: Store) -> list[Held]:
    """All that retention may remove."""
    return [held async for batch in store.held() for held in batch]


def files(store: LocalStore) -> list[str]:
    """Every file in the folder."""
    return sorted(str(path.relative_to(store._folder)) for path in store._folder.rglob("*") if path.is_file())
