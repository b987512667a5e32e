"""The verdict in the terminal: the sentence, the systems by their figures, notes and gates. Rich is imported when first needed.

No text is parsed as Rich markup and none keeps an escape code (`tunesmith.report.text.for_terminal`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tunesmith.report import figures
from tunesmith.report.figures import Metric, metric_of
from tunesmith.report.shape import Estimate, Report, System, read_report
from tunesmith.report.text import for_terminal

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

METRICS = 3
"""So many metrics fit beside the costs."""


def verdict_lines(report: Mapping[str, Any]) -> "RenderableType":
    """The verdict as something a `rich.console.Console` prints; without colour where that is no terminal.

    Raises:
        MachineError: the report's schema is unknown, or a field has another form than `tunesmith.report.card` says.
    """
    from rich.console import Group
    from rich.text import Text

    from tunesmith.report import judged

    held = read_report(report)
    gained = held.verdict.outcome == "gain"
    parts: list[RenderableType] = []
    if held.verdict.sentence:
        parts += [Text(for_terminal(held.verdict.sentence, 600), style="bold green" if gained else "bold yellow"), Text()]
    if held.systems:
        parts += [_table(held), Text()]
    parts += [Text(f"- {for_terminal(note)}") for note in held.verdict.notes]
    parts += [Text(f"! {for_terminal(warning)}", style="yellow") for warning in judged.warnings(held)]
    parts += [_gate_line(held, index) for index in range(len(held.verdict.gates))]
    while parts and isinstance(parts[-1], Text) and not parts[-1].plain:
        parts.pop()
    return Group(*parts)


def verdict_text(report: Mapping[str, Any], width: int = 100) -> str:
    """The same as plain text, `width` characters wide: for logs and files.

    Raises:
        MachineError: as `verdict_lines`.
    """
    from io import StringIO

    from rich.console import Console

    out = StringIO()
    Console(file=out, width=width, color_system=None, force_terminal=False, legacy_windows=False).print(verdict_lines(report))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _table(report: Report) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from tunesmith.report import judged

    priced = judged.priced(report)
    metrics = [metric_of(key, [system.metrics.get(key) for system in report.systems]) for key in report.metrics[: METRICS - priced]]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("System", overflow="fold", min_width=10)  # figures without a name say nothing
    for metric in metrics:
        table.add_column(Text(_in_two(for_terminal(metric.head, 36))), justify="right", no_wrap=True)
    costs = [f"{for_terminal(judged.currency(report), 8)} per\n1,000"] if priced else []
    for head in ("Tuned better\nthan this by", "Prompt\ntokens", "ms per\nanswer", *costs):
        table.add_column(Text(head), justify="right", no_wrap=True)
    for system in report.systems:
        cost = [judged.amount(system.cost_per_1000)] if priced else []
        table.add_row(*map(Text, [*_cells(system, metrics), *cost]), style="bold" if system.kind == "tuned" else "")
    return table


def _in_two(head: str) -> str:
    """A heading of several words on two lines, divided nearest its middle."""
    spaces = [place for place, mark in enumerate(head) if mark == " "]
    middle = min(spaces, key=lambda place: abs(2 * place - len(head)), default=None)
    return head if middle is None else f"{head[:middle]}\n{head[middle + 1 :]}"


def _cells(system: System, metrics: list[Metric]) -> list[str]:
    """One system: the first metric with its interval beneath, the others without, the difference, the costs."""
    first = metrics[0] if metrics else metric_of("")
    written = [metric.write(system.metrics.get(metric.key, Estimate()).value) for metric in metrics]
    spread = first.write_range(system.metrics.get(first.key))
    if written and spread:
        written[0] += f"\n{spread}"
    against = system.against
    difference = first.write_difference(against.difference) if against else ""
    if against and first.write_difference_range(against):
        difference += f"\n{first.write_difference_range(against)}"
    tokens = figures.ABSENT if system.prompt_tokens is None else figures.decimal(system.prompt_tokens, 1)
    return [for_terminal(system.title, 60), *written, difference, tokens, figures.milliseconds(system.seconds_per_answer)]


def _gate_line(report: Report, index: int) -> "RenderableType":
    from rich.text import Text

    gate = report.verdict.gates[index]
    mark, style = {True: ("holds", "green"), False: ("does not hold", "bold red"), None: ("unknown", "")}[gate.holds]
    bound = figures.ABSENT if gate.bound is None else figures.decimal(gate.bound, 4)
    found = figures.NOT_MEASURED if gate.value is None else f"unfavourable end {figures.decimal(gate.value, 4)}"
    return Text(f"gate {for_terminal(gate.name, 40)}: {mark} (bound {bound}, {found})", style=style)
