"""Stored files of a person who is forgotten: by their names, which hold message ids, and by what their events told."""

from collections.abc import Iterable

from whatshooked.media.names import account_folder
from whatshooked.media.store import Store
from whatshooked.meta.person import Person


async def forget(store: Store, person: Person, files: Iterable[tuple[str, str]] = ()) -> int:
    """Remove every file whose name, or name for people, names the person, and `files` (account id, file name).

    Returns how many; raises StoreUnavailable. A content that a file of somebody else shares stays with that.
    """
    known = _places(files)

    def is_theirs(folder: str, filename: str) -> bool:
        return (folder, filename) in known or person.is_named(filename)

    return await store.forget(is_theirs, person.is_named)


async def remove(store: Store, files: Iterable[tuple[str, str]]) -> int:
    """Remove files (account id, file name) at once, however young; returns how many. Raises StoreUnavailable."""
    known = _places(files)
    return await store.forget(lambda folder, filename: (folder, filename) in known)


def _places(files: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(account_folder(account_id), filename) for account_id, filename in files}
