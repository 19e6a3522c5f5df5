"""Files give way to messages, and never so long that a message misses its file."""

from workers.pace import AHEAD, BUSY, FETCHES, PATIENCE, Pace


def busy(at: float, rate: float = 1000.0) -> Pace:
    """A process that has made so many attempts in the second before."""
    pace = Pace()
    for n in range(int(rate)):
        pace.attempt(at - 1.0 + n / rate)
    return pace


def test_an_idle_process_fetches_at_once() -> None:
    """Nothing gives way where there is next to nothing to give way to, or was a moment ago."""
    assert [busy(100.0, BUSY / 4).pause(0.0, 60.0, 100.0) for _ in range(100)] == [0.0] * 100
    pace = busy(100.0)
    assert [pace.pause(0.0, 60.0, 101.0) for _ in range(100)] == [0.0] * 100


def test_a_burst_is_stretched() -> None:
    """Beside messages files begin at a steady rate."""
    pace = busy(100.0)
    pauses = [pace.pause(0.0, 60.0, 100.0) for _ in range(80)]
    assert pauses == sorted(pauses)
    assert abs(pauses[-1] - 79 / FETCHES) < 0.01


def test_what_has_waited_begins() -> None:
    """No pause goes beyond a message's share of waiting."""
    pace = busy(100.0)
    assert max(pace.pause(14.0, 60.0, 100.0) for _ in range(400)) <= 60.0 * PATIENCE - 14.0
    assert pace.pause(60.0 * PATIENCE + 0.1, 60.0, 100.0) == 0.0


def test_a_steady_stream_is_kept_up_with() -> None:
    """When more files come than a burst may hold, they are fetched faster than they come."""
    pace, pauses = busy(100.0), []
    for n in range(300 * 50):  # fifty a second for five minutes
        now = 100.0 + n / 50
        for _ in range(20):
            pace.attempt(now)
        pace.came(now)
        pauses.append(pace.pause(0.0, 60.0, now))
    assert AHEAD > 1
    assert max(pauses) <= 60.0 * PATIENCE + 0.001
    assert max(pauses[-1000:]) < 0.05
