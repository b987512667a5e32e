"""How much of the code that the tuned model writes passes its tests, and of the base's.

Costs `samples` answers a row for each model, and a run of the command for each that differs. Samples and how they ended are kept in the
round's folder, so that a round that goes on doesn't draw or run them again.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tunesmith.core.files import make_folder, read_json, write_json
from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data.config import Task
from tunesmith.evaluate.code_runs import Ended
from tunesmith.evaluate.generation_config import CodeConfig
from tunesmith.evaluate.passing import HOLLOW_ROWS, Passing, apart, ended, hollow, passing
from tunesmith.evaluate.systems import Answerer, Answers
from tunesmith.evaluate.trial import FEWEST
from tunesmith.infer.sampling import Sampling
from tunesmith.pipeline.evaluation import answerer
from tunesmith.pipeline.looks.judge import drawn
from tunesmith.pipeline.looks.look import Found, Looking
from tunesmith.score.intervals import Interval
from tunesmith.score.resampling import Resamples

Runs = list[list[Ended]]


def look_at_code(given: Looking) -> Found | None:
    """pass@k of samples on test; nothing where the recipe asks for none."""
    config = given.recipe.evaluate.code
    if config is None or given.sides.task != Task.GENERATE:
        return None
    seed = derive_seed(given.recipe.seed, "code")
    rows = drawn(given.sides.test, config.rows, given.groups("test"), seed=seed)
    resamples = Resamples(rows=len(rows), count=given.recipe.evaluate.resamples, seed=seed)
    runs = {"tuned": _runs(given, rows, "tuned", lambda: given.tuned.answerer)}
    if config.base:
        runs["base"] = _runs(given, rows, "base", lambda: answerer(given.base.model, given.tuned.renderer, given.sides, given.recipe))
    names = {"tuned": "Fine-tuned", "base": "Base, zero-shot"}
    made = [passing(key, names[key], some, config.k, resamples) for key, some in runs.items()]
    gains = {k: apart(runs["tuned"], runs["base"], k, resamples) for k in sorted(set(config.k))} if config.base else {}
    own = _kept(given, "references", lambda: ended(rows, [[row.answer] for row in rows], config))
    empty: dict[str, int] = _kept(given, "hollow", lambda: hollow(rows, config))
    easy = [
        f"{name} passes in {count} of {min(HOLLOW_ROWS, len(rows))} problems, so a pass says little: let the tests take that for a failure."
        for name, count in empty.items()
        if count
    ]
    piece = _piece(config, made, gains, own, len(rows))
    public = " ".join([piece["sentence"], *easy])  # of the command, which may name paths, nothing
    return Found(piece=piece | {"hollow": empty, "notes": [*easy, *piece["notes"]]}, alarm=easy[0] if easy else None, public=public)


def _runs(given: Looking, rows: Sequence[Row], key: str, model: Callable[[], Answers]) -> Runs:
    """How a model's samples ended."""
    config = given.recipe.evaluate.code
    assert config is not None
    settings = config
    sampling = Sampling(
        temperature=settings.temperature,
        top_p=settings.top_p,
        samples=settings.samples,
        seed=derive_seed(given.recipe.seed, "samples of code"),
    )

    def samples() -> list[list[str]]:
        asked = model()
        assert isinstance(asked, Answerer)
        return asked.samples(rows, sampling, work=f"samples of code, {key}", listen=given.listen)

    drawn_samples: list[list[str]] = _kept(given, f"{key}-samples", samples)
    found: Runs = _kept(given, key, lambda: ended(rows, drawn_samples, settings))
    return found


def _kept(given: Looking, name: str, make: Callable[[], Any]) -> Any:
    """A value made once, whole or not at all."""
    path = make_folder(given.folder / "looks") / f"code-{name}.json"
    if not path.exists():
        write_json(path, make())
    return read_json(path)


def _piece(config: CodeConfig, made: Sequence[Passing], gains: dict[int, Interval], own: Runs, problems: int) -> dict[str, Any]:
    passed = sum(some[0] == "right" for some in own)
    notes = []
    if passed < problems:
        notes.append(
            f"The rows' own answers pass in {passed} of {problems}: see whether the command and the tests can pass at all."
            if not passed
            else f"The rows' own answers pass in {passed} of {problems}, so no model can be expected to pass in all."
        )
    if late := made[0].late:
        notes.append(
            f"{late} of the fine-tuned model's runs took over {config.timeout:g} seconds and count as wrong (evaluate.code.timeout)."
        )
    return {
        "command": list(config.command),
        "problems": problems,
        "samples": config.samples,
        "temperature": config.temperature,
        "systems": [one.to_json() for one in made],
        "against": [{"k": k, "value": gain.value, "low": gain.low, "high": gain.high} for k, gain in gains.items()],
        "references": {"passed": passed, "rows": problems},
        "sentence": _sentence(made, gains, config, problems),
        "notes": notes,
    }


def _sentence(made: Sequence[Passing], gains: dict[int, Interval], config: CodeConfig, problems: int) -> str:
    one = made[0].pass_at_k[0]
    said = (
        f"The fine-tuned model's code passes its tests with pass@{one.k} {100 * one.value:.1f}% (95% interval {100 * one.low:.1f} to "
        f"{100 * one.high:.1f}), by {config.samples} samples to each of {problems} problems at temperature {config.temperature:g}"
    )
    if one.k not in gains:
        return f"{said}."
    gain, theirs = gains[one.k], made[1].pass_at_k[0]
    shown = problems >= FEWEST  # on fewer, a handful of problems decides
    told = "more than" if shown and gain.low > 0 else "less than" if shown and gain.high < 0 else "not shown to differ from"
    return f"{said}: {told} the base's {100 * theirs.value:.1f}% ({100 * gain.low:+.1f} to {100 * gain.high:+.1f} points)."
