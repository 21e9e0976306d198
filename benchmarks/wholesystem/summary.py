"""Medians, spread and ratios of raw runs, and how sure a ratio is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

#: With fewer pairs even runs that all agree do so by chance more often than one time in a hundred: there is no interval.
ENOUGH = 8


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

    :ivar ratio: the middle of the pairs' ratios.
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


def paired_ratio(over: Sequence[float], under: Sequence[float]) -> Ratio:
    """The ratio of pairs, with Wilcoxon's signed-rank interval of its logarithm.

    Other work disturbs both of a pair, and goes out of their ratio; where it hits one of them alone, that pair is far off. So nothing
    is taken to be normal: the ratio is the median of the means of all two pairs (Hodges and Lehmann), the interval of these means.
    """
    logs = [math.log(one / other) for one, other in zip(over, under, strict=True)]
    means = sorted((one + other) / 2 for place, one in enumerate(logs) for other in logs[place:])
    out = outside(len(logs))
    low, high = (-math.inf, math.inf) if out is None else (means[out], means[-1 - out])
    return Ratio(math.exp(statistics.median(means)), math.exp(low), math.exp(high), len(logs))


def outside(pairs: int) -> int | None:
    """How many of the ordered means are below the 99 % interval, and as many above; none if there are too few pairs for one.

    That number is the greatest w for which the signed-rank statistic is at most w with a chance of half a percent. Its distribution is
    counted: of the 2**pairs ways to give the ranks signs, those whose positive ranks add up to each sum.
    """
    ways = [1]
    for rank in range(1, pairs + 1):
        longer = ways + [0] * rank
        for total, count in enumerate(ways):
            longer[total + rank] += count
        ways = longer
    rare, below = None, 0
    for total, count in enumerate(ways):
        below += count
        if below > 0.005 * 2**pairs:
            break
        rare = total
    return rare
