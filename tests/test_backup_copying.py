"""Copies of files that others write meanwhile."""

import subprocess
import sys
from pathlib import Path

import pytest

from whatshooked.cli.backup import copying
from whatshooked.errors import CommandRefused

#: Replaces the files of a folder as the server does, without end, in a process of its own: threads would wait for us.
_REWRITER = """
import itertools, pathlib, sys
source, manifest = pathlib.Path(sys.argv[1]), sys.argv[2]
for n in itertools.count(1):
    for kind in ("base", "incr"):
        (source / f"a.{n}.{kind}").write_text(str(n))
    (source / "new").write_text(f"file a.{n}.base seq {n} type b\\nfile a.{n}.incr seq {n} type i\\n")
    (source / "new").rename(source / manifest)
    for kind in ("base", "incr"):
        (source / f"a.{n - 1}.{kind}").unlink(missing_ok=True)
    if n == 1:
        print("begun", flush=True)
"""


def test_files_that_are_replaced_meanwhile_belong_together(tmp_path: Path) -> None:
    """However often the server writes its file anew, a copy has one manifest's files, each of them whole."""
    source = tmp_path / "appendonlydir"
    source.mkdir()
    command = [sys.executable, "-c", _REWRITER, str(source), copying.MANIFEST]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None and server.stdout.readline() == b"begun\n"
        try:
            for n in range(200):
                copy = tmp_path / f"copy-{n}"
                copying.append_only(source, copy)
                named = [line.split()[1] for line in (copy / copying.MANIFEST).read_text().splitlines()]
                assert sorted(path.name for path in copy.iterdir()) == sorted([*named, copying.MANIFEST])
                assert {(copy / name).read_text() for name in named} == {named[0].split(".")[1]}
        finally:
            server.kill()


def test_a_file_that_never_holds_still_is_refused(tmp_path: Path) -> None:
    """A manifest that names files which are gone gives no backup instead of half of one."""
    source = tmp_path / "appendonlydir"
    source.mkdir()
    (source / copying.MANIFEST).write_text("file gone.aof seq 1 type b\n")
    with pytest.raises(CommandRefused, match="try again"):
        copying.append_only(source, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path: Path) -> None:
    """What a copy would miss in silence ends it."""
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        copying.tree(tmp_path / "file", tmp_path / "copy")
