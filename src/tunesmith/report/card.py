"""The report card of a round, as one HTML file and as report.json; and one page that sets several rounds side by side.

The page is self-contained: no script, no font, picture or style from elsewhere, so that it opens offline and prints. A
content security policy in it forbids any script, whatever a row holds; every text is escaped besides, and characters
that hide or turn text around are written out (`tunesmith.report.text`).

report.json, schema 1
---------------------

A JSON object. Numbers are plain; null, or an absent field, where something is unknown. Only `schema` and `round.id` must be there.
Fractions run from 0 to 1. Intervals (`low`, `high`) are 95%. Times are seconds; moments are ISO 8601 in UTC.

    schema        1
    round         id, identity (64 hex digits: recipe, data and base), status, created, finished, seconds, peak_mib (MiB of
                  memory at the peak), continued (how often it went on after a stop)
    verdict       outcome ("gain" or "no gain shown"), sentence, metric (the one that decides), best_baseline (its key),
                  gain {value, low, high, p_value} (over that baseline; p one-sided), notes [text],
                  gates [{name, bound, value, holds}] (value: the unfavourable end of the interval),
                  costs {currency, training (amount), training_seconds, against (key of the base's best prompt: best on `select`), pays_after (answers after
                  gates [{name, bound, value, holds}] (value: the unfavourable end of the interval; null, and holds false: not measured),
                  costs {currency, training (amount), training_seconds, against (key of the base's best prompt), pays_after (answers after
                  which training has paid for itself against it)}; null where no prices are stated
    systems       [{key, name, kind, metrics, rows, prompt_tokens, answer_tokens, seconds_per_answer, cost_per_1000, against}], in order:
                  zero-shot, few-shot, floors, other models (champion, model-2), tuned last.
                  kind: "baseline", "floor" or "tuned". metrics: {name: {value, low, high}}. rows: answered test rows.
                  prompt_tokens, answer_tokens: means per answer. cost_per_1000: of 1,000 answers, in the currency of verdict.costs.
                  against: {difference, low, high, p_value, test}, how much better than this one the tuned model is in the
                  deciding metric, paired over the same rows: tuned minus this one, or the reverse for a metric of which
                  less is better; null for the tuned one.
    few_shot      k, form and by (chosen; by: how examples are, "random" or "similar"), tried [{k, form, value}] (value: deciding metric on `select`), rows (how many of them);
                  null where none was tried
    data          path, format, task, mapping {part: column}, waterfall [{stage, kept, changed, dropped, reasons {text: rows}}]
                  (changed rows are kept too: kept + dropped = rows that came in), sides {train, select, calibrate, test: rows},
                  labels {label: rows}, truncated (rows cut to fit), test_openings (times the test set was scored, this round's
                  included)
    training      method, base, parameters, trainable, steps [{step, loss, learning_rate, grad_norm, tokens, seconds}] (from 1),
                  validation [{step, loss}] (step 0: before training), chosen_step, stopped (why it ended, in words),
                  tokens_in_rows, tokens_computed (what packing saved is the difference), restarts. Losses: nats a token.
                  throughput {rows_per_second, row_tokens_per_second, computed_tokens_per_second, saved} (medians over steps),
                  mfu (operations counted a second over the device's peak), peak_mib (MiB at the peak of training),
                  words [text] (how the losses went, in sentences; then `stopped` is not printed),
                  interpolated (how far from the base the kept weights are, 0 to 1; null where nobody asked)
    search        id, measure (of the gain; the one that decides), compared {name (a measure, or "loss"), less_is_better, sentence}, count, steps,
                  seconds, stopped, trials [{number, settings {path: value}, value (on `select`; null: came to nothing), pruned, steps}],
                  finalists [{number, values (over seeds), mean, spread}] (the winner first), best (its number), importance {path: share},
                  importance_note, as_it_was {value (on `select`; null where unknown)}, gain {difference, low, high, p_value, test, outcome
                  ("gain", "loss", "no gain shown"), ours, value (of the recipe as it was, on test)} (null where it can't be told), sentence;
                  null of a round that no search chose
    forgetting    outcome ("kept", "forgot", "unclear", "unchanged", "unmeasured"), sentence, notes [text],
                  rise {base, tuned (perplexities), relative {value, low, high} (tuned / base - 1), documents}; null where unmeasured,
                  probing {base, tuned {value, low, high} (shares right), against {difference, low, high}, questions}; null where none was
                  asked. The whole is null where nobody looked
    calibration   rows (of `calibrate`), sentences [text], calibrator, threshold, measured (on `calibrate`), and
                  test {before, after: {accuracy, confidence, ece, ece_low, ece_high, by_chance, brier, nll,
                  diagram [{confidence, accuracy, low, high, count}]}}; null where nothing was calibrated
    slices        measure, sentence, slices [{name, worse, p_corrected, figures {rows, value {value, low, high}, rest, difference}}],
                  the worst first, by the deciding measure on test; null where nobody looked
    memorisation  alarm, alarms (how many of the sentences, from the first, are alarming), sentences [text], notes [text], membership,
                  verbatim, personal, personal_base, canaries {groups [{repeats, before, after (bits of exposure), p_value, first}],
                  learned_from, sentence} (each null where not looked at); null where nobody looked
    per_label     labels [{label, rows, answered, precision, recall, f1 (each {value, low, high}), beside {system's key: its F1}}], the
                  smallest F1 first; null where answers are no labels
    overfitting   outcome ("none", "earlier kept", "within", "kept", "start kept"), sentence (null for "none"), since_step (of the
                  lowest validation loss), kept_step, lowest, kept, last (validation losses); null where validation was not measured
    safety        outcome ("worse", "not worse", "unmeasured"), sentence, notes [text],
                  measures [{name ("lexicon", "classifier", "unwanted": either of them, "refused": harmless prompts), prompts,
                  base, tuned {value, low, high} (shares of prompts), against {difference, low, high} (tuned minus base), p_corrected
                  (Holm; null for "unwanted", which is no test of its own), worse}],
                  samples [{prompt (where it stands), system ("base" or "tuned"), rule, detail (the term masked, the probability, the
                  pattern's name)}]; no answer stands in it. null where nobody looked
    explained     sentences [text], tolerance, checkpoints [step], rows [{row_id, right, reference, answer, confidence, figure (what is
                  explained), words [[text, value]] (they join to the row's text; null for what no token stands for), blank, whole (the
                  figure with the text blanked, and as it is), missed (share of their difference that the words miss), steps, fails (why
                  the words are not to be believed), nearest, toward, against [{row_id, answer, text, value, duplicate}] (value: cosine;
                  of the other two, share of the strongest push)}], suspects [the same] (by self-influence); null where nobody asked
    over_seeds    measure, sentence, gains (seeds that beat every baseline), diverged [name], over {values, mean, spread, low, high},
                  runs [{name, value, gain {value, low, high, p_value}, best_baseline, outcome}], the round's own first; null where
                  one seed was asked for
    learning_curve  measure, outcome ("rising", "flat", "unclear"), sentence, points [{rows, value {value, low, high}, twin}],
                  ahead [{rows, value, gain {value, low, high}}] (foretold), last {difference, low, high, p_value, test} (the round's
                  model against that on `since` rows), fitted [[rows, value]], exponent, notes [text]; null where nobody asked
    judge         judge (address and model), baseline (key of the system beside the tuned one), rows, counts {ours, theirs, tie, split, unread},
                  wins, losses, agreement (of both orders, over pairs asked about) {value, low, high}, against {difference, low, high, p_value},
                  leans ("first" or "second", null where none is shown), length, spent, sentence, notes [text]; null where nobody was asked
    code          command [text], problems, samples, systems [{key, name, pass_at_k [{k, value, low, high}], right, wrong, late}],
                  against [{k, value, low, high}] (tuned minus base), references {passed, rows}, hollow {what: passed}, sentence, notes [text]; null where nothing was run
    bias          alarm, sentences [text], notes [text],
                  figures [{set, part, kind ("share", "score", "accuracy", "gap"), what, rows, units (what the interval counts), judged,
                  by_chance (of a gap), base, tuned {value, low, high}, change {value, low, high} (tuned - base), p_change, p_level
                  (Holm), moved ("up", "down", "none", "few"), leans, worse}],
                  groups [{column, rate, groups [{name, rows, base, tuned, judged}]}]; null where nobody looked
    published     notes [text] (the verdict's own), looks [{look, measured, alarm, text}]: what the model card may say, as it names no row, no
                  value of a column but labels, no path and no engine; text is null of a look that is not for strangers
    confusion     labels, counts: counts[i][j] rows of label i were answered with label j by the tuned model on test;
                  null where answers are no labels
    errors        [{row_id, prompt, reference, answer, confidence}], wrong answers of the tuned model on test
    recipe        the recipe as YAML text
    environment   {name: version or description}: tunesmith, python, torch, transformers, peft, cpu, threads, platform
    hashes        {what: content hash}: recipe, dataset, base, model
    seeds         {what: seed}
    warnings      [text]
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import RecipeError
from tunesmith.core.files import write_json, write_text
from tunesmith.report.shape import Report, finite, read_report

if TYPE_CHECKING:
    from jinja2 import Environment


def card(report: Mapping[str, Any]) -> str:
    """The report card as one HTML page.

    Raises:
        MachineError: the report's schema is unknown, or a field has another form than the module's docstring says.
    """
    from tunesmith.report import figures, judged, made, mistakes
    from tunesmith.report.sections import sections_of

    held = read_report(report)
    return page(
        "card.html.j2",
        report=held,
        title=f"Round {held.round.id}",
        when=figures.moment(held.round.created),
        comparison=judged.comparison(held),
        gates=judged.gates(held),
        warnings=judged.warnings(held),
        evidence=judged.evidence(held),
        few_shot=judged.few_shot(held),
        training=made.training(held),
        sections=sections_of(held),
        data=made.data(held),
        run=made.run_facts(held),
        confusion=mistakes.confusion(held),
        errors=mistakes.errors(held),
    )


def write_card(report: Mapping[str, Any], folder: Path) -> Path:
    """Write report.json and report.html into `folder`, each whole or not at all; return the page's path.

    Numbers that are not finite are written as null. Both are made before either is written.

    Raises:
        MachineError: the report has another form, or the folder can't be written.
    """
    page = card(report)
    write_json(folder / "report.json", finite(report))
    write_text(folder / "report.html", page)
    return folder / "report.html"


def compare_card(reports: Sequence[Mapping[str, Any]], pairs: Sequence[Mapping[str, Any]] = ()) -> str:
    """Several rounds on one HTML page, in the order given: verdicts, costs, findings, curves, and where their recipes differ.

    Args:
        reports: the rounds' report.json.
        pairs: what every two of them show over the same test rows, as `tunesmith.evaluate.between` gives it; nothing is said of it where absent.

    Raises:
        RecipeError: no report was given.
        MachineError: as in `card`, for any of them.
    """
    from tunesmith.report import side_by_side

    if not reports:
        raise RecipeError("There is nothing to compare: name at least one round.")
    held: list[Report] = [read_report(report) for report in reports]
    return page("compare.html.j2", title=side_by_side.title(held), view=side_by_side.view(held, pairs))


def page(template: str, **values: Any) -> str:
    """A packaged template with these values, every text in it made visible and escaped."""
    return _environment().get_template(template).render(**values).strip() + "\n"


@cache
def _environment() -> "Environment":
    """Jinja2 over the packaged templates; every text that a template prints is made visible, then escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("tunesmith.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize(),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _finalize() -> Callable[[Any], Any]:
    from markupsafe import Markup

    from tunesmith.report.text import visible

    return lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
