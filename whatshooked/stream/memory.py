"""How full Redis is, from its INFO: what may give way does so before webhooks are refused."""

#: Share of `maxmemory` above which history and finished messages give way, whatever their own bounds say, and share
#: above which no new messages are taken: webhooks need the room.
FULL, NO_ROOM = 0.8, 0.9


def shortage(info: bytes, share: float) -> float:
    """Return the bytes by which Redis holds more than a share of its `maxmemory`; 0 without one."""
    found = dict(line.split(b":", 1) for line in info.splitlines() if b":" in line)
    limit = int(found.get(b"maxmemory", 0))
    return max(int(found.get(b"used_memory", 0)) - share * limit, 0.0) if limit else 0.0
