"""The commands: `whatshooked ...`, and `whatshook-server -config FILE` of the earlier program."""

from whatshooked.cli.main import main, server

__all__ = ["main", "server"]
