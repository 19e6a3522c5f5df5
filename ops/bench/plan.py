"""How long each part takes, and what counts as fast enough."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Seconds and counts of one benchmark."""

    #: Of each intake round, and how many rounds every program gets in turn.
    round_seconds: float
    rounds: int
    #: Of one look whether a rate is held, and of the look that counts.
    probe_seconds: float
    hold_seconds: float
    #: Of the run at half the held rate.
    delay_seconds: float


QUICK = Plan(round_seconds=2.0, rounds=3, probe_seconds=3.0, hold_seconds=12.0, delay_seconds=6.0)
FULL = Plan(round_seconds=5.0, rounds=5, probe_seconds=6.0, hold_seconds=60.0, delay_seconds=20.0)


@dataclass(frozen=True)
class Bar:
    """A measured value's floor and goal; `least` when more is better."""

    name: str
    floor: float
    goal: float | None = None
    unit: str = "x"
    least: bool = True

    def met(self, value: float) -> bool:
        """Return whether the floor holds."""
        return value >= self.floor if self.least else value <= self.floor


INTAKE_OF_RAW = Bar("Intake, share of the same server answering 200 to everything", 0.33, 0.45)
INTAKE_OF_CELERY = Bar("Intake, multiple of FastAPI + pydantic + Celery", 8.0)
#: The bars are 30,000 and 50,000 a second where singles came to 11,300.
BULK_OF_SINGLE = Bar("Events a second in bodies of 100, multiple of single ones", 2.65, 4.4)
END_OF_ARQ = Bar("End to end, multiple of FastAPI + an arq job per event", 4.0)
TEXTS_BESIDE = Bar("Texts beside 500 files, multiple of their median delay alone", 1.2, least=False)
LOGGED = Bar("The path's speed with the log in a file, share of that without", 0.85)
DELAY_HALF = Bar("From 200 to the hook at half that rate, p50", 5.0, unit="ms", least=False)
DELAY_MOST = Bar("From 200 to the hook at half that rate, p99", 50.0, unit="ms", least=False)
