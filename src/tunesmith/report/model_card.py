"""The model card of a round: `model/README.md` in the hub's format, written from the report.

YAML at the top (`huggingface_hub.ModelCardData`, `model-index` with every measure of the tuned model on test), then what a stranger must
know: the verdict, the comparison, how it was trained, where it falls short, how it is loaded. The code in it runs
(`report/loading.py`). Costs an import of huggingface_hub, about 0.2 s; nothing is looked up.

It is written to be shown to others, so it says less than report.html: no path, no text of a row, no value of a data column other than a
label, no engine's name or address; of the data file its name alone. Of the looks it repeats what they say may be published
(`published` in report.json), and names those that were not taken. What the report does not know is left out, or said to be unknown.
"""

from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Any

from tunesmith.report import figures
from tunesmith.report.figures import Metric, metric_of
from tunesmith.report.judged import gates
from tunesmith.report.limits import in_markdown, limits
from tunesmith.report.loading import Loading, plain_code, tunesmith_code
from tunesmith.report.shape import Report, read_report
from tunesmith.report.text import one_line

_TASKS = {
    "classify": ("text-classification", "Text classification"),
    "multilabel": ("text-classification", "Text classification, several labels"),
    "regress": ("text-classification", "Regression on text"),
    "tag": ("token-classification", "Spans in text"),
    "prefer": ("text-generation", "Preference between answers"),
    "generate": ("text-generation", "Text generation"),
    "text": ("text-generation", "Language modelling"),
}
"""The hub's task, and its name for people."""
_HUB_METRICS = {
    "macro_f1": ("f1", {"average": "macro"}),
    "micro_f1": ("f1", {"average": "micro"}),
    "macro_precision": ("precision", {"average": "macro"}),
    "micro_precision": ("precision", {"average": "micro"}),
    "macro_recall": ("recall", {"average": "macro"}),
    "micro_recall": ("recall", {"average": "micro"}),
    "mcc": ("matthews_correlation", None),
    "auroc": ("roc_auc", None),
    "pearson": ("pearsonr", None),
    "spearman": ("spearmanr", None),
}
"""Where the hub has another name for a measure; the others go by their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What is known of the base and the data, beside the report."""

    base_id: str | None = None
    """The base on the hub; None where it is a folder, or came along."""
    base_name: str = "the base"
    """For people: its id, or the name of its folder."""
    license: str | None = None
    """The base's, as the hub spells it."""
    license_name: str | None = None
    license_link: str | None = None
    languages: tuple[str, ...] = ()
    """Codes of the languages that the data was held to; empty where nobody said."""
    local_path: bool = False
    """Whether files beside the card name a folder of this machine as the base."""


def model_card(report: dict[str, Any], origin: Origin, loading: Loading) -> str:
    """The card's text, front matter included.

    Raises:
        MachineError: the report has another form than `tunesmith.report.card` says.
    """
    held = read_report(report)
    parts = [
        f"# {_name(held)}",
        _told_first(held, origin),
        "## The comparison",
        _comparison(held),
        "## Bounds",
        _gates(held),
        "## Training",
        _training(held, origin),
        "## Limits",
        limits(held),
        "## How to load it",
        _loading(loading, origin),
        "## Data and licence",
        _data(held, origin),
    ]
    return f"---\n{_front_matter(held, origin, loading)}\n---\n\n" + "\n\n".join(part for part in parts if part) + "\n"


def _name(report: Report) -> str:
    return f"tunesmith-{one_line(report.round.id, 40)}"


def _task(report: Report) -> tuple[str, str]:
    return _TASKS.get(report.data.task if report.data else "", _TASKS["generate"])


def _front_matter(report: Report, origin: Origin, loading: Loading) -> str:
    """YAML as the hub's own library writes it."""
    from huggingface_hub import ModelCardData

    training = report.training
    method = (training.method if training else "").split(" ")[0]
    named = ["tunesmith", "fine-tuned", method, training.objective if training else "", report.data.task if report.data else ""]
    data = ModelCardData(
        base_model=origin.base_id,
        language=list(origin.languages) if len(origin.languages) > 1 else next(iter(origin.languages), None),
        library_name="peft" if loading.form == "adapter" else "transformers",
        license=origin.license,
        license_name=origin.license_name,
        license_link=origin.license_link,
        pipeline_tag=_task(report)[0] if loading.head else "text-generation",
        tags=[one_line(tag, 40) for tag in named if tag],
        model_name=_name(report),
        eval_results=_results(report) or None,
    )
    return str(data.to_yaml()).strip()


def _results(report: Report) -> list[Any]:
    from huggingface_hub import EvalResult

    tuned = report.tuned
    if tuned is None:
        return []
    task, task_name = _task(report)
    found = []
    for key in report.metrics:
        estimate = tuned.metrics.get(key)
        if estimate is None or estimate.value is None:
            continue
        kind, arguments = _HUB_METRICS.get(key, (key, None))
        found.append(
            EvalResult(
                task_type=task,
                task_name=task_name,
                dataset_type="local-file",
                dataset_name=_file(report),
                dataset_split="test",
                metric_type=kind,
                metric_name=metric_of(key).name,
                metric_value=round(estimate.value, 6),
                metric_args=arguments,
            )
        )
    return found


def _file(report: Report) -> str:
    """The data's file name; of a path its last part, whichever way it is written."""
    return one_line(PureWindowsPath(report.data.path).name if report.data else "", 80) or "unnamed"


def _told_first(report: Report, origin: Origin) -> str:
    """The verdict, what the model is, and what to mind."""
    name, when = in_markdown(origin.base_name), figures.moment(report.round.created)
    opening = f"{_task(report)[1]}: `{name}` fine-tuned with tunesmith{f', {when}' if when else ''}."
    notes = "\n".join(f"- {in_markdown(note)}" for note in _notes(report))
    return "\n\n".join(
        part for part in (opening, f"**{in_markdown(report.verdict.sentence)}**" if report.verdict.sentence else "", notes) if part
    )


def _notes(report: Report) -> list[str]:
    """What to mind, as far as it may be published: the verdict's own notes, the looks that raise an alarm, bounds that do not hold."""
    alarms = [one.text for one in report.published.looks if one.alarm and one.text]
    broken = [gate.name for gate in gates(report) if gate.holds is False]
    failed = [f"It does not keep to {len(broken)} of the bounds its maker set: {', '.join(broken)}."] if broken else []
    return [*failed, *report.published.notes, *alarms]


def _gates(report: Report) -> str:
    """Each bound of the recipe, the value held against it, and whether it holds."""
    lines = [
        [in_markdown(one.name), one.bound, one.value, {True: "yes", False: "**no**", None: "not known"}[one.holds]] for one in gates(report)
    ]
    if not lines:
        return "Its maker set none."
    return f"{_table(['', 'Bound', 'At worst', 'Holds'], lines)}\n\nThe value is the unfavourable end of its 95% interval."


def _comparison(report: Report) -> str:
    """Systems by measures, on test."""
    metrics = [metric_of(key, [one.metrics.get(key) for one in report.systems]) for key in report.metrics][:4]
    if not metrics:
        return "No system was scored."
    head = ["System", *(metric.head for metric in metrics), "Prompt tokens", "ms per answer"]
    lines = [
        [
            in_markdown(system.title),
            *(_cell(metric, system.metrics.get(metric.key)) for metric in metrics),
            figures.ABSENT if system.prompt_tokens is None else figures.decimal(system.prompt_tokens, 1),
            figures.milliseconds(system.seconds_per_answer),
        ]
        for system in report.systems
    ]
    rows = next((system.rows for system in report.systems if system.rows is not None), None)
    counted = f"{figures.whole(rows)} test rows that training never saw. " if rows is not None else ""
    return _table(head, lines) + f"\n\n{counted}In brackets the 95% interval."


def _cell(metric: Metric, estimate: Any) -> str:
    if estimate is None or estimate.value is None:
        return figures.ABSENT
    ends = metric.write_range(estimate)
    return metric.write(estimate.value) + (f" ({ends})" if ends else "")


def _table(head: list[str], lines: list[list[str]]) -> str:
    cells = [head, ["---", *("---:" for _ in head[1:])], *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _training(report: Report, origin: Origin) -> str:
    done = report.training
    if done is None:
        return "Not known."
    facts = [
        ("Base", f"`{in_markdown(origin.base_name)}`"),
        ("Method", in_markdown(done.method)),
        ("Objective", in_markdown(done.objective)),
        ("Parameters", figures.parameters(done.parameters)),
        ("Trained", figures.parameters(done.trainable)),
        ("Training rows", figures.whole(report.data.sides.get("train")) if report.data else figures.ABSENT),
        ("Steps taken", figures.whole(max((step.step for step in done.steps), default=None))),
        ("Step kept", figures.whole(done.chosen_step)),
        ("Learning rate, at its peak", figures.ABSENT if done.learning_rate is None else f"{done.learning_rate:.3g}"),
        ("Arithmetic", in_markdown(done.precision)),
        ("Time of the whole round", figures.duration(report.round.seconds)),
        *(
            (name, in_markdown(str(report.environment[name])))
            for name in ("tunesmith", "torch", "transformers", "peft")
            if name in report.environment
        ),
    ]
    told = _table(["", ""], [[name, value] for name, value in facts if value and value != figures.ABSENT])
    return told.replace("| ---: |", "| --- |") + (f"\n\n{in_markdown(' '.join(done.words))}" if done.words else "")


def _loading(loading: Loading, origin: Origin) -> str:
    """Code for both ways, and what keeps it from running elsewhere."""
    parts = ["With tunesmith, as it was evaluated:", _code(tunesmith_code())]
    plain = plain_code(loading, origin.base_id)
    if plain:
        libraries = "transformers and PEFT" if loading.form == "adapter" else "transformers"
        parts += [f"With {libraries} alone, from the folder that holds this file:", _code(plain)]
        if loading.decoded:
            parts.append(
                "So loaded it writes the likeliest words; it was evaluated with the `decoding` in `tunesmith.json`, which the first way keeps."
            )
    else:
        parts.append("Other libraries alone don't load it: the base's weights were drawn at random, or virtual tokens stand before a head.")
    if origin.local_path:
        parts.append(
            "Before it is published: `tunesmith.json`, and `adapter_config.json` or `config.json` where they are there, may name a folder "
            "of the machine that trained it as the base. Put the base's id on the hub in its place, and `base_model` at the top of this file."
        )
    return "\n\n".join(parts)


def _code(text: str) -> str:
    return f"```python\n{text.strip()}\n```"


def _data(report: Report, origin: Origin) -> str:
    held = report.data
    said = []
    if held is not None:
        sides = ", ".join(f"{figures.whole(rows)} {in_markdown(side)}" for side, rows in held.sides.items())
        labels = f", {len(held.labels)} labels" if held.labels else ""
        said.append(f"`{in_markdown(_file(report))}`: {sides} rows{labels}. The rows are not published with the model.")
        read = next((stage.kept + stage.dropped for stage in held.waterfall), None)
        dropped = sum(stage.dropped for stage in held.waterfall)
        if read is not None:
            said.append(f"{figures.whole(read)} rows were read and {figures.whole(dropped)} of them left out.")
        if held.test_openings is not None:
            said.append(f"The test set has been opened {'once' if held.test_openings == 1 else f'{held.test_openings} times'}.")
    if not origin.languages:
        said.append("Its language was not stated.")
    licence = (
        f"Licence: that of the base, `{in_markdown(origin.license)}`; whether the data allows it to be passed on is for its owner to say."
        if origin.license
        else "Licence: not known, as the base's files name none. Find it out before this model is passed on."
    )
    digests = [f"{name} `{str(report.hashes[name])[:16]}`" for name in ("dataset", "base", "recipe", "model") if report.hashes.get(name)]
    content = f"Content hashes, their beginnings: {', '.join(digests)}." if digests else ""
    return "\n\n".join(part for part in (" ".join(said), licence, content) if part)
