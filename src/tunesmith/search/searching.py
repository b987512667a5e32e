"""The search as a person asks for it: from a recipe with a `search` section to the best recipe as a file, and a round that says what it gained.

A search is a folder of the workspace, named by recipe, data, base and space:

    searches/s-0123456789/
      recipe.yaml     what was asked
      study/          the trials' records (`records`)
      trials/         the trials' trainings (`training`)
      outcome.json    how it ended
      best.yaml       the recipe that was found

The same command goes on with a search that was killed, prolongs one whose budget is raised, and shows one that is done. All is chosen on
`select`; then one round of the best recipe opens the test set, once, for its model and for that of the recipe as it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tunesmith.core.errors import DataError, DivergedError, RecipeError
from tunesmith.core.files import make_folder, only_one, read_json, write_json, write_text
from tunesmith.core.hashing import digest, digest_file
from tunesmith.core.progress import Listener, Said, silent
from tunesmith.ledger.records import ArtefactRecord, Edge
from tunesmith.pipeline.api import DEFAULT, Round, run, show
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe, check_agreement, dump_recipe
from tunesmith.recipe.model import with_schema
from tunesmith.recipe.search_config import SearchConfig
from tunesmith.recipe.search_space import corners, with_settings
from tunesmith.search.applied import RATE, setting_of, written_best
from tunesmith.search.beginning import Beginning
from tunesmith.search.outcome import SearchOutcome
from tunesmith.search.study import Given, search_with
from tunesmith.search.telling_round import AsItWas, tells_the_same, told_of, without_gain
from tunesmith.search.trial import Settings

if TYPE_CHECKING:
    from tunesmith.pipeline.bench import Bench
    from tunesmith.search.measuring import Compared
    from tunesmith.search.training import PipelineTrainer

__all__ = ["Search", "search"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search that ended, and the round of what it found."""

    id: str
    folder: Path
    best: Path
    """The recipe that was found, a file ready to run."""
    outcome: SearchOutcome
    compared: str
    """By what trials were compared, a sentence."""
    higher_is_better: bool
    """Whether more is better of what was compared; values in `outcome` are the higher the better, those of `less is better` negated."""
    gain: Mapping[str, Any] | None
    """Over the recipe as it was, on test: `difference`, `low`, `high`, `p_value`, `outcome`; None where it can't be told."""
    sentence: str
    """What the search was worth."""
    round: Round

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {
            "id": self.id,
            "folder": str(self.folder),
            "best": str(self.best),
            "outcome": self.outcome.to_json(),
            "compared": self.compared,
            "higher_is_better": self.higher_is_better,
            "gain": dict(self.gain) if self.gain is not None else None,
            "sentence": self.sentence,
            "round": self.round.to_json(),
        }


def search(
    recipe: Recipe,
    *,
    workspace: Path = DEFAULT,
    trials: int | None = None,
    workers: int | None = None,
    listen: Listener = silent,
) -> Search:
    """Search the settings that a recipe's `search` section names, and take the best through a round.

    Args:
        recipe: with a `search` section.
        workspace: as `run` has it.
        trials: at most so many, in place of `search.trials`.
        workers: so many processes, in place of `search.workers`.
        listen: told of progress.

    Raises:
        TunesmithError: one of its kinds, with a sentence that says what to do.
    """
    from tunesmith.models.load import base_hash
    from tunesmith.pipeline.datasets import data_content, other_content
    from tunesmith.pipeline.naming import with_champions

    place = Workspace(Path(workspace))
    config = _config(recipe, trials, workers)
    recipe = with_champions(with_schema(recipe, Path()), place).model_copy(update={"search": config})
    base = base_hash(recipe.base)
    identity = digest([recipe.identity(), data_content(recipe.data), base, *other_content(recipe), config.identity()])
    found = f"s-{identity[:10]}"
    folder = make_folder(place.root / "searches" / found)
    with only_one(folder / ".lock", f"Search {found}"):
        write_text(folder / "recipe.yaml", dump_recipe(recipe))
        return _Searching(recipe, config, place, base, found, folder, listen).go()


def _config(recipe: Recipe, trials: int | None, workers: int | None) -> SearchConfig:
    if recipe.search is None:
        raise RecipeError(
            "The recipe names nothing to search: add a search section, such as search: {space: {train.learning_rate: {log: [1e-5, 1e-3]}}}."
        )
    asked = {name: value for name, value in (("trials", trials), ("workers", workers)) if value is not None}
    try:
        return SearchConfig.model_validate(recipe.search.model_dump(by_alias=True) | asked)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise RecipeError(f"search.{'.'.join(map(str, first['loc']))}: {first['msg']}.") from None


@dataclass(frozen=True, slots=True)
class _Searching:
    """One search at work."""

    recipe: Recipe
    config: SearchConfig
    place: Workspace
    base: str
    id: str
    folder: Path
    listen: Listener

    def go(self) -> Search:
        """Search, write the best recipe, take it through a round."""
        from tunesmith.search.training import PipelineTrainer

        bench = self._checked()
        make = partial(
            PipelineTrainer,
            recipe=self.recipe,
            workspace=self.place,
            folder=self.folder,
            keep=self.config.finalists,
            workers=self.config.workers,
        )
        trainer = make(listen=self.listen)
        compared = trainer.compared
        self.listen(Said(compared.sentence))
        begin = Beginning(self.recipe, self.config, bench)
        own, seconds = self._own_settings(bench), begin.seconds(self.folder / "study")
        given = Given(factory=make, first=begin.first(own, self.listen), trial_steps=begin.steps, trial_seconds=seconds)
        outcome = search_with(trainer, self.config, folder=self.folder / "study", seed=self.recipe.seed, listen=self.listen, given=given)
        write_json(self.folder / "outcome.json", outcome.to_json())
        best = self.folder / "best.yaml"
        found = trainer.as_written(outcome.best.settings)
        write_text(best, written_best(self.recipe, found, self._heading(outcome, compared), own))
        told = told_of(self.id, outcome, compared, self._as_it_was(trainer, outcome))
        trainer.hand_over(found)
        done = self._round(with_settings(self.recipe, found), told)
        trainer.clear()
        piece = (done.report or {}).get("search") or {"gain": None, "sentence": without_gain(told)}
        return Search(
            id=self.id,
            folder=self.folder,
            best=best,
            outcome=outcome,
            compared=compared.sentence,
            higher_is_better=compared.signed(1.0) > 0,
            gain=piece["gain"],
            sentence=piece["sentence"],
            round=done,
        )

    def _checked(self) -> "Bench":
        """All that a round of this recipe would refuse before it trains, and what these rows refuse of the space."""
        from tunesmith.pipeline.bench import bench_of

        bench = bench_of(self.recipe, self.place, self.listen, self.base)
        found = bench.check()
        for warning in found.warnings:
            self.listen(Said(warning, warning=True))
        if found.problems:
            raise DataError(" ".join(found.problems))
        if not bench.sides["select"]:
            raise DataError(
                "A search chooses by the select rows, and there are none: raise data.split.validation, or give data.validation_path."
            )
        for settings in corners(self.config):
            try:
                check_agreement(with_settings(self.recipe, settings), bench.dataset.task, judged=bench.judged_alone)
            except RecipeError as error:
                raise RecipeError(f"search.space: with {_in_words(settings)}: {error}") from error
        return bench

    def _own_settings(self, bench: "Bench") -> dict[str, Any]:
        """The recipe's own values of what is searched: the first trial, where they lie in the space."""
        from tunesmith.pipeline.decisions import decide

        own = {path: setting_of(self.recipe, path) for path, _ in self.config.ranges()}
        if own.get(RATE, 0.0) is None:
            task, rows = str(bench.dataset.task.value), len(bench.sides["train"])
            own[RATE] = decide(bench.recipe, bench.base, task, silent, judged=bench.judged_alone, rows=rows).learning_rate
        return own

    def _heading(self, outcome: SearchOutcome, compared: "Compared") -> str:
        value = outcome.best.measured.value
        told = "" if value is None else f": {compared.name} {compared.shown(value)} on select"
        return f"Found by tunesmith search {self.id}, trial {outcome.best.number} of {len(outcome.trials)}{told}.\nRun it with: tunesmith run best.yaml"

    def _round(self, best: Recipe, told: Mapping[str, Any]) -> Round:
        """The best recipe's round, in whose one opening of the test set the recipe as it was is scored as well.

        One that was finished before is shown where it tells of this very search, or of none and there is nothing to compare with.
        """
        done = run(best, workspace=self.place.root, listen=self.listen, chosen_by=told)
        if done.finished_before:
            done = self._told_before(done, told) or self._another(best, told)
        self._tell_ledger(done)
        return done

    def _told_before(self, done: Round, told: Mapping[str, Any]) -> Round | None:
        """Of the finished rounds of these settings the latest one that was told the same; None where another one is to be made."""
        from tunesmith.pipeline.looks.searched import CHOSEN_BY

        with self.place.ledger() as ledger:
            ids = [record.id for record in ledger.rounds(identity=ledger.round(done.id).identity) if record.status == "done"]
        for one in ids:
            file = self.place.rounds / one / CHOSEN_BY
            if file.exists() and tells_the_same(read_json(file), told):
                return replace(show(one, workspace=self.place.root), finished_before=True)
        chosen = (done.report or {}).get("search") is not None
        return done if not chosen and told["as_it_was"]["model"] is None else None

    def _another(self, best: Recipe, told: Mapping[str, Any]) -> Round:
        """A round more of settings that have had one."""
        self.listen(Said("These settings have had a round before, which tells of no search or of another one: here is another."))
        return run(best, workspace=self.place.root, listen=self.listen, chosen_by=told, again=True)

    def _as_it_was(self, trainer: "PipelineTrainer", outcome: SearchOutcome) -> AsItWas:
        """The model of the recipe without the search: the best itself, a trial's, an earlier round's, or trained now."""
        training = trainer.key_of({})
        if trainer.key_of(outcome.best.settings) == training:
            return AsItWas(value=outcome.best.measured.value, training=training)
        try:
            made = trainer.model_of({})
        except DivergedError as error:
            return AsItWas(diverged=str(error), training=training)
        return AsItWas(model=(made / "model").resolve(), value=trainer.value_of({}, made), training=training)

    def _tell_ledger(self, done: Round) -> None:
        """The search as an artefact, and that the model was chosen by it."""
        if done.report is None:
            return
        file = self.folder / "outcome.json"
        found = digest_file(file)
        with self.place.ledger() as ledger:
            ledger.record_artefact(
                ArtefactRecord(content_hash=found, kind="search", path=str(file), bytes=file.stat().st_size, round_id=done.id)
            )
            ledger.record_edges([Edge(done.report["hashes"]["model"], found, "chosen by")])


def _in_words(settings: Settings) -> str:
    return ", ".join(f"{path}: {value}" for path, value in settings.items())
