"""What a figure is, what is counted as it happens, and the sheet that one scrape fills in."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a catalogue.

    Attributes:
        about: what it says, for people.
        labels: their values come from closed sets; never an id, a name or an address of a person.
    """

    kind: Kind
    about: str
    labels: tuple[str, ...] = ()


Catalogue = Mapping[str, Figure]
"""Figures by name, ``<process>_<noun>_<unit>``."""


class Durations:
    """How long things took, in buckets.

    Args:
        bounds: upper ends in seconds, rising.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, seconds: float, *labels: str) -> None:
        """Count one."""
        counts = self._counts.setdefault(labels, [0] * (len(self._bounds) + 1))
        counts[bisect_left(self._bounds, seconds)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + seconds

    def rows(self) -> Iterator[tuple[tuple[str, ...], list[tuple[str, float]], float]]:
        """Labels, how many took at most so long for each bound and ``+Inf``, and the sum of seconds."""
        ends = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for labels, counts in sorted(self._counts.items()):
            total, reached = 0, []
            for end, count in zip(ends, counts, strict=True):
                total += count
                reached.append((end, float(total)))
            yield labels, reached, self._sums[labels]


class Sheet:
    """The figures of one scrape; a figure that is not in the catalogue is a defect.

    Args:
        catalogue: all there may be; those that nobody fills in are still declared.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._values: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in catalogue}
        self._durations: dict[str, Durations] = {}

    def put(self, name: str, value: float, *labels: str) -> None:
        """Fill in one value."""
        self._values[name][labels] = value

    def put_all(self, name: str, values: Mapping[str, float], known: Iterable[str] = ()) -> None:
        """Fill in values by their one label; labels that are `known` and have no value are zero."""
        for label in {*values, *known}:
            self.put(name, values.get(label, 0), label)

    def put_durations(self, name: str, durations: Durations) -> None:
        """Fill in a histogram."""
        self._durations[name] = durations

    def families(self) -> Iterator[Any]:
        """All of it as prometheus-client wants it."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        for name, figure in self._catalogue.items():
            if figure.kind == "histogram":
                histogram = HistogramMetricFamily(name, figure.about, labels=figure.labels)
                if (durations := self._durations.get(name)) is not None:
                    for labels, buckets, total in durations.rows():
                        histogram.add_metric(labels, buckets, total)
                yield histogram
                continue
            kind = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
            family = kind(name, figure.about, labels=figure.labels)
            for labels, value in sorted(self._values[name].items()):
                family.add_metric(labels, value)
            yield family
