"""How far long work has come, for people who wait for it."""

import time
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def duration(seconds: float) -> str:
    """A duration for people: '8 s', '3 min 20 s', '2 h 5 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class CountProgress:
    """A bar with how many are done a second and the time left in a terminal, else a line every minute.

    Writes to standard error. `unit` is what is counted, such as labels.
    """

    def __init__(self, title: str, unit: str, total: int, done: int) -> None:
        self.title, self.unit, self.total, self.done, self.first = title, unit, total, done, done
        self.console = Console(stderr=True)
        self.start = self.last_line = time.monotonic()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
        )
        self._bar = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=self.console)
        self._task = self._bar.add_task(title, total=total, completed=done, rate="")

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: int) -> None:
        """So many are done now."""
        self.done, now = done, time.monotonic()
        rate = (done - self.first) / max(now - self.start, 1e-9)
        self._bar.update(self._task, completed=done, rate=_per_time(rate))
        if not self.console.is_terminal and (now - self.last_line > 60.0 or done == self.total):
            left = f", {_per_time(rate)}, {duration((self.total - done) / rate)} left" if rate else ""
            self.say(f"{self.title}: {done} of {self.total} {self.unit}{left}")
            self.last_line = now

    def say(self, line: str) -> None:
        """A line beside the bar."""
        self._bar.console.print(line, highlight=False, markup=False, soft_wrap=True)


def _per_time(rate: float) -> str:
    """So many a second, a minute or an hour, whichever is easy to read."""
    for seconds, unit in ((1.0, "s"), (60.0, "min")):
        if rate * seconds >= 1.0:
            return f"{rate * seconds:.3g}/{unit}"
    return f"{rate * 3600.0:.3g}/h"
