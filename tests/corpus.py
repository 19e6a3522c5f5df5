"""The recorded webhook bodies, where `payloads` finds them."""

from tests.conftest import payloads


def recorded() -> list[bytes]:
    """Return every recorded body; skips the test when there are none."""
    return [path.read_bytes() for path in sorted(payloads().glob("*.json"))]
