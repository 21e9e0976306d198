"""Medians, spread and ratios of raw runs, and how sure a ratio is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

#: The normal distribution's bound for 99 %.
NORMAL = 2.576
#: With fewer pairs even runs that all agree may do so by chance more often than one time in twenty.
ENOUGH = 6


@dataclass(frozen=True)
class Spread:
    """A median, and the smallest and largest of what it is of."""

    median: float
    low: float
    high: float

    def text(self) -> str:
        """``median (low–high)``, with as many digits as small times need."""
        digits = 2 if self.median >= 1 else 3
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """The median of some values and their ends."""
    return Spread(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Ratio:
    """How many times one is the other, from pairs of runs made one after the other.

    :ivar ratio: the geometric mean of the pairs' ratios.
    :ivar low: the lower end of its 99 % interval.
    :ivar high: the upper end.
    :ivar pairs: how many there are.
    """

    ratio: float
    low: float
    high: float
    pairs: int

    @property
    def enough(self) -> bool:
        """Whether there are enough pairs to say anything."""
        return self.pairs >= ENOUGH

    @property
    def differs(self) -> bool:
        """Whether the interval leaves 1 out, and there are enough pairs."""
        return self.enough and not self.low <= 1 <= self.high


def student(degrees: int) -> float:
    """Student's bound for 99 %, by the expansion around the normal one (3 % too small at 5 degrees, less above)."""
    z = NORMAL
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def paired_ratio(over: Sequence[float], under: Sequence[float]) -> Ratio:
    """The ratio of pairs, with Student's interval of its logarithm: other work disturbs both of a pair, and goes out of their ratio."""
    logs = [math.log(one / other) for one, other in zip(over, under, strict=True)]
    mean = statistics.fmean(logs)
    # One pair says nothing about the spread.
    width = student(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else math.inf
    return Ratio(math.exp(mean), math.exp(mean - width), math.exp(mean + width), len(logs))
