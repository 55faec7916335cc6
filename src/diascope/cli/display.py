"""What a command shows while it works: bars on a terminal, plain lines elsewhere."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.text import Text

from diascope.app.run import Outcome
from diascope.cli.terminal import Terminal
from diascope.core.events import Notice, Progress
from diascope.core.findings import Finding, by_severity, outcomes
from diascope.core.text import duration
from diascope.study.executors import Elsewhere, EpochDone, Event, Failed, Finished, Interrupted, Started
from diascope.study.plan import Planned

_STYLES = {"shortcut found": "bold red", "shortcut possible": "yellow", "cannot tell": "yellow"}
PLAIN_LINE_SECONDS = 10.0  # without a terminal a run says how far it is about this often


class Display:
    """Shows what a use case tells: preparations, the study, and each run in training, with the time that is left."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Terminal(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(),
        )
        self._bars = Bars(*columns, console=self._console, disable=not self._console.is_terminal)
        self._clock = _Clock()
        self._rows: dict[str, TaskID] = {}
        self._prepared: dict[str, TaskID] = {}
        self._pace: dict[str, tuple[float, int]] = {}  # when each preparation began, and with how much done
        self._began: dict[str, tuple[int, float]] = {}  # the first epoch that was seen of a run, and when
        self._study: TaskID | None = None
        self._last_line: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, event: object) -> None:
        """Show an event; those that it does not know are not shown."""
        if isinstance(event, Progress):
            self._count(event)
        elif isinstance(event, Notice):
            self._notice(event)
        elif isinstance(event, Planned):
            self._plan(event)
        elif isinstance(event, Event):
            self._happen(event)

    def _count(self, progress: Progress) -> None:
        what, done, total = progress.what, progress.done, progress.total
        if what not in self._prepared:
            self._prepared[what] = self._bars.add_task(what, total=total, status="")
            self._pace[what] = (monotonic(), done)
            self._line(f"{what}: {done:,} of {total:,}")
        started, before = self._pace[what]
        spent = monotonic() - started
        left = (
            f", {duration(round((total - done) * spent / (done - before)))} left" if done > before and spent > 1 else ""
        )
        status = f"{done:,} of {total:,}{f', now {progress.note}' if progress.note else ''}{left}"
        self._bars.update(self._prepared[what], completed=done, total=total, status=status, visible=done < total)
        if monotonic() - self._last_line.setdefault(what, started) > PLAIN_LINE_SECONDS or before < done == total:
            self._last_line[what] = monotonic()
            self._line(f"{what}: {status}")

    def _notice(self, notice: Notice) -> None:
        if notice.warning:
            self._console.print(Text(f"warning: {notice.text}", style="yellow"), soft_wrap=True)
        else:
            self._line(notice.text)

    def _plan(self, planned: Planned) -> None:
        """Training begins; of a study whose seeds are added in looks, that of the next look."""
        for finding in planned.findings:
            if finding.outcome == "issue" and finding.severity != "info":
                self._console.print(Text(f"{finding.severity}: {finding.sentence}", style="yellow"), soft_wrap=True)
        todo = [cell.task for cell in planned.cells if cell.state != "done"]
        if self._study is not None:
            self._bars.update(self._study, visible=False)
        self._clock = _Clock()
        self._clock.start(len(todo), sum(task.epochs for task in todo))
        text = f"{len(planned.cells)} runs, {len(planned.cells) - len(todo)} done, {len(todo)} to train"
        self._study = self._bars.add_task("study", total=self._clock.epochs, status=text)
        self._line(text)

    def _happen(self, event: Event) -> None:
        """An executor's event."""
        name = event.task.name
        if isinstance(event, Started):
            self._show_start(name, event.task.epochs)
            return
        if isinstance(event, EpochDone):
            self._show_epoch(event)
            return
        if name in self._rows:  # a worker may die before it says that it starts
            self._bars.update(self._rows[name], visible=False)
        if isinstance(event, Failed):
            self._clock.forget(event.task.epochs)
            self._console.print(Text(f"{name} failed: {event.problem}", style="red"), soft_wrap=True)
        elif isinstance(event, Interrupted):
            problem = Text(f"{name} continues in another process: {event.problem}", style="yellow")
            self._console.print(problem, soft_wrap=True)
        elif isinstance(event, Elsewhere):
            self._console.print(Text(f"waiting for {name}, which another command trains"), soft_wrap=True)
        elif isinstance(event, Finished):
            self._clock.finish(name, event.task.epochs)
            self._line(f"{name} done; {self._clock.left()}")

    def _show_start(self, name: str, epochs: int) -> None:
        if name in self._rows:  # begun again after its worker died
            self._bars.update(self._rows[name], visible=True, status="starting")
        else:
            self._rows[name] = self._bars.add_task(name, total=epochs, status="starting")

    def _show_epoch(self, event: EpochDone) -> None:
        epoch, epochs, name = event.epoch, event.task.epochs, event.task.name
        self._clock.tick(name, epoch.epoch, epoch.seconds)
        status = (
            f"epoch {epoch.epoch} of {epochs}  loss {epoch.training.loss:.3f}, validation {epoch.validation.loss:.3f}  "
            f"accuracy {epoch.training.accuracy:.3f}, validation {epoch.validation.accuracy:.3f}"
        )
        first, since = self._began.setdefault(name, (epoch.epoch, monotonic()))
        pace = (monotonic() - since) / (epoch.epoch - first) if epoch.epoch > first else epoch.seconds
        left = duration(round((epochs - epoch.epoch) * pace))
        self._bars.update(self._rows[name], completed=epoch.epoch, status=f"{status}  {left} left")
        if self._study is not None:
            self._bars.update(self._study, completed=self._clock.epochs_done, status=self._clock.left())
        if monotonic() - self._last_line.get(name, 0) > PLAIN_LINE_SECONDS:
            self._last_line[name] = monotonic()
            self._line(f"{name}: {status}  {left} left; study: {self._clock.left()}")

    def _line(self, text: str) -> None:
        if not self._console.is_terminal:
            self._console.print(Text(text), soft_wrap=True)


class _Clock:
    """How long the study still takes: epochs that are left, at the pace of those that were done here."""

    def __init__(self) -> None:
        self.runs = self.runs_done = self.epochs = self.epochs_done = self._measured = 0
        self._started: float | None = None  # when the first epoch began: what came before tells nothing of the pace
        self._reached: dict[str, int] = {}

    def start(self, runs: int, epochs: int) -> None:
        self.runs, self.epochs = runs, epochs

    def tick(self, name: str, epoch: int, seconds: float) -> None:
        self.epochs_done += epoch - self._reached.get(name, 0)  # a continued run starts with epochs already done
        self._reached[name] = epoch
        self._started = self._started or monotonic() - seconds
        self._measured += 1

    def finish(self, name: str, epochs: int) -> None:
        """A run is done; the epochs that another command trained are no work of this one."""
        self.runs_done += 1
        self.forget(epochs - self._reached.get(name, 0))

    def forget(self, epochs: int) -> None:
        self.epochs = max(self.epochs_done, self.epochs - epochs)

    def left(self) -> str:
        done = f"{self.runs_done} of {self.runs} runs done"
        if not self._measured or self._started is None:
            return done
        pace = (monotonic() - self._started) / self._measured
        return f"{done}, {duration(round(pace * (self.epochs - self.epochs_done)))} left"


def say_outcome(outcome: Outcome) -> None:
    """The last words of a run: the answer, what failed, where the report is, and what probes came to."""
    console = Terminal()
    summary = json.loads((outcome.folder / "summary.json").read_text(encoding="utf-8"))
    if outcome.failed:
        console.print(
            Text(f"{len(outcome.failed)} of {outcome.runs} runs failed; run the same command to try them again.")
        )
    console.print(Text(summary["answer"]), soft_wrap=True)
    for further in (summary["beside"], summary["looks"]["sentence"]):
        if further:
            console.print(Text(further), soft_wrap=True)
    console.print(Text(f"Report: {outcome.report}"), soft_wrap=True)
    say_probed(outcome.probed, brief=True)


def say_findings(findings: Sequence[Finding], page: Path) -> None:
    """The last words of an audit: what is wrong, the most severe first, how much was checked, and where the page is."""
    console = Terminal()
    issues = by_severity([finding for finding in findings if finding.outcome == "issue"])
    for finding in issues:
        style = {"error": "red", "warning": "yellow"}.get(finding.severity, "")
        console.print(Text(f"{finding.severity}: {finding.sentence}", style=style), soft_wrap=True)
    console.print(Text(f"{len(findings)} checks: {outcomes(findings)}"), soft_wrap=True)
    console.print(Text(f"Report: {page}"), soft_wrap=True)


def say_probed(found: Mapping[str, Mapping[str, Any]], *, brief: bool = False) -> None:
    """The judgement on each run, and unless `brief` a sentence a probe."""
    console = Terminal()
    for name, tree in found.items():
        style = _STYLES.get(tree["verdict"], "")
        console.print(Text(f"{name}: {tree['verdict']}. {tree['sentence']}", style=style), soft_wrap=True)
        for probe in () if brief else tree["probes"]:
            console.print(Text(f"  {probe['sentence']}"), soft_wrap=True)


def say_stopped() -> None:
    """After Ctrl-C."""
    Terminal(stderr=True).print("Stopped. What was trained is kept; run the same command again to resume.")
