"""Files give way to messages, and never so long that a message misses its file."""

from workers.pace import AHEAD, FETCHES, PATIENCE, Pace


def busy(at: float) -> Pace:
    """A process that makes a thousand attempts a second."""
    pace = Pace()
    pace._since = at - 1.0
    for _ in range(1000):
        pace.attempt()
    return pace


def test_an_idle_process_fetches_at_once() -> None:
    """Nothing gives way where there is nothing to give way to."""
    pace = Pace()
    assert [pace.pause(0.0, 60.0, pace._since + 1 + n / 1000) for n in range(100)] == [0.0] * 100


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
    for n in range(100 * 100):  # a hundred a second for a hundred seconds
        now = 100.0 + n / 100
        pace._rate = 1000.0
        pace.came(now)
        pace._since = now
        pauses.append(pace.pause(0.0, 60.0, now))
    assert AHEAD > 1
    assert max(pauses[-1000:]) < 0.05
