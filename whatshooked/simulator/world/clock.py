"""Meta's clock in the simulator: as fast as ours, faster, or standing still until somebody moves it."""

import asyncio
import time

#: Seconds by which sums of floats may miss one another: nobody shall sleep on for so little on a clock that stands.
_EXACT = 1e-6


class Clock:
    """Tells the simulated time and sleeps by it; `speed` 60 lets an hour pass in a minute, 0 stops the clock."""

    def __init__(self, *, speed: float = 1.0, start: float | None = None) -> None:
        self._speed = speed
        self._base = time.time() if start is None else start
        self._since = time.monotonic()
        self._moved = asyncio.Event()

    @property
    def speed(self) -> float:
        """Return how many simulated seconds pass in one of ours."""
        return self._speed

    def now(self) -> float:
        """Return the simulated time (unix seconds)."""
        return self._base + (time.monotonic() - self._since) * self._speed

    def stamp(self) -> str:
        """Return the time as Meta writes it: whole unix seconds, as text."""
        return str(int(self.now()))

    def run(self, speed: float) -> None:
        """Go on at another speed; raises ValueError below 0: time does not run backwards."""
        if speed < 0:
            raise ValueError("speed must be 0 or more")
        self._base, self._since = self.now(), time.monotonic()
        self._speed = speed
        self._wake()

    def advance(self, seconds: float) -> None:
        """Set the clock forward; what was to happen until then happens at once. Raises ValueError below 0."""
        if seconds < 0:
            raise ValueError("time runs forward only")
        self._base += seconds
        self._wake()

    async def sleep(self, seconds: float) -> None:
        """Wait until `seconds` of simulated time have passed."""
        until = self.now() + seconds
        while (left := until - self.now()) > _EXACT:
            moved = self._moved
            try:
                async with asyncio.timeout(left / self._speed if self._speed else None):
                    await moved.wait()
            except TimeoutError:
                continue

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
