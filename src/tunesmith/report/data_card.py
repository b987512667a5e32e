"""The data report, as one HTML file and as report.json: what became of every row, what was found, what to look at first.

The page is self-contained: no script, no font, picture or style from elsewhere, so that it opens offline and prints; it follows
the reader's choice of light or dark. A content security policy in it forbids any script, whatever a row holds; every text is
escaped besides, and characters that hide or turn text around are written out (`tunesmith.report.text`). However many rows,
labels and reasons there are, and however long, the page stays under 2 MB: a few of each are shown and the others counted.
Takes some 0.3 s. Masking is left to who makes the samples: texts are shown as they come.

report.json, schema 1
---------------------

A JSON object; null, or an absent field, where something is unknown. Only `dataset` must be there. What a row says is text
that may hold anything; reasons, kinds and rules are short phrases.

    schema          1
    dataset         id (64 hex digits), path, format, task, mapping {role: column}, created (ISO 8601, UTC)
    waterfall       [{stage, kept, changed, dropped, added, reasons {text: rows}, changes {text: rows}}], in order;
                    kept + dropped - added = rows that came in; changed rows are kept too; reasons sum to dropped
    sides           {train, select, calibrate, test: rows}
    labels          {side: {label: rows}}; null where the task has no labels
    samples         [{stage, reason, source, before {prompt, answer}, after {prompt, answer}}], after null where dropped
    findings        what stages found, by name:
      personal      looked, rows, kinds {kind: count}, replaced, samples [text, masked]
      near          pairs, alike (rows that nearly repeat another), compared, capped, clusters [[{source, text, label}]]
      contamination held {name: texts}, dropped
      labels        judged, suspected, in_train, accuracy (of the model that judged them), review (name of a file), first [{source, text, given, suggested, score}]
      suspicions    looked, rules {rule: rows}: of rules that only count
      split         test_rows, smallest_gain (a share), text_crossings, group_crossings, near_crossings, by (a column)
      augment       made {way: rows}, refused {reason: rows}
      lengths       {side: {shown, answer}}, each {edges, counts, median}, in characters, of bins from edge to below the next
                    edge, the last without end where edges are as many as counts; or what `tunesmith.data.audit.describe` gives
      audit         what `tunesmith.data.audit` gives
      coverage      what `tunesmith.data.coverage` gives; of both, `tables` [{title, columns, rows}] are set as they are
    tokens          context, max_tokens (a row), per_row {median, p95, max}, cut (rows over), total {side: tokens},
                    instruction, epoch_tokens, labels {label: tokens it is written in}, measured {side: rows counted, where
                    the others are estimated from them}; may stand in findings instead
    notes           [text]
    recipe_section  the recipe's `data` section as YAML text
    hashes          {what: content hash}
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.core.files import write_json, write_text
from tunesmith.report.card import page
from tunesmith.report.data_look import Pointer, first_to_look, headline
from tunesmith.report.data_shape import SCHEMA, DataReport, read_data_report
from tunesmith.report.shape import finite
from tunesmith.report.text import one_line, passage

_TOP = 4
"""So many things to look at stand at the top of the page, one of each section; all of them at its end."""
_NOTES, _NOTE, _RECIPE, _PAIRS = 40, 400, 12_000, 24


def data_card(report: Mapping[str, Any]) -> str:
    """The data report as one HTML page.

    Raises:
        MachineError: the report's schema is unknown, or a field has another form than the module's docstring says.
    """
    from tunesmith.report import data_bias, data_found, data_spread, data_stages, figures

    held = read_data_report(report)
    look = first_to_look(held)
    return page(
        "data.html.j2",
        title=_title(held),
        when=figures.moment(one_line(held.dataset.created, 60)) if held.dataset.created else "",
        headline=headline(held),
        look=look,
        top=_costliest(look),
        waterfall=data_stages.waterfall(held),
        stages=data_stages.stages(held),
        split=data_found.split(held),
        personal=data_found.personal(held),
        suspects=data_found.suspects(held),
        near=data_found.near(held),
        classes=data_spread.classes(held),
        lengths=data_spread.lengths(held),
        bias=data_bias.bias(held),
        coverage=data_bias.coverage(held),
        made=data_found.made(held),
        suspicions=data_found.suspicions(held),
        tokens=data_found.tokens(held),
        notes=[one_line(note, _NOTE) for note in held.notes[:_NOTES]],
        facts=_facts(held),
        recipe=passage(held.recipe_section.strip(), _RECIPE),
    )


def write_data_card(report: Mapping[str, Any], folder: Path) -> Path:
    """Write report.json and report.html into `folder`, each whole or not at all; return the page's path.

    Numbers that are not finite are written as null. Both are made before either is written.

    Raises:
        MachineError: the report has another form, or the folder can't be written.
    """
    page = data_card(report)
    write_json(folder / "report.json", finite({"schema": SCHEMA, **report}))
    write_text(folder / "report.html", page)
    return folder / "report.html"


def _costliest(look: list[Pointer]) -> list[Pointer]:
    """The first of each section: what stands on top is not all of one kind."""
    first: dict[str, Pointer] = {}
    for pointer in look:
        first.setdefault(pointer.anchor, pointer)
    return list(first.values())[:_TOP]


def _title(report: DataReport) -> str:
    """The file's name, or what of its id tells it from others."""
    name = one_line(report.dataset.path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1], 80)
    return name or one_line(report.dataset.id, 16) or "Dataset"


def _facts(report: DataReport) -> list[tuple[str, list[tuple[str, str]]]]:
    """What was prepared: groups of a name and a value."""
    head = report.dataset
    columns = [(one_line(role, 40), one_line(str(column), 120)) for role, column in list(head.mapping.items())[:_PAIRS]]
    what = [("Path", one_line(head.path, 160)), ("Format", one_line(head.format, 40)), ("Task", one_line(head.task, 40))]
    hashes = [(one_line(name, 40), one_line(str(value), 80)) for name, value in list(report.hashes.items())[:_PAIRS] if value]
    if head.id and not any(value == head.id for _, value in hashes):
        hashes.insert(0, ("dataset", one_line(head.id, 80)))
    groups = [("Rows", what), ("Columns", columns), ("Content hashes", hashes)]
    kept = [(name, [pair for pair in pairs if pair[1]]) for name, pairs in groups]
    return [(name, pairs) for name, pairs in kept if pairs]
