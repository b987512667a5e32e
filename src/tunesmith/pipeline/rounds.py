"""One round, from its recipe to its report card: the stages in order."""

import contextlib
import platform
import resource
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tunesmith.chat.labels import label_texts
from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError, DivergedError, RecipeError, TunesmithError
from tunesmith.core.files import make_folder, read_json, write_json, write_text
from tunesmith.core.progress import Listener, Said, silent
from tunesmith.core.rows import Row
from tunesmith.data.checks import labels_of
from tunesmith.data.config import Task
from tunesmith.data.dataset import Dataset
from tunesmith.evaluate.attribution import require_captum
from tunesmith.evaluate.calibration import Calibration
from tunesmith.evaluate.measures import resolve
from tunesmith.evaluate.systems import Answers
from tunesmith.evaluate.verdict import Judgement, System, judge
from tunesmith.evaluate.written import Sure, decoding_of
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.records import ArtefactRecord, Edge, MetricRecord, Status, now
from tunesmith.models.load import Base, lasting_path, load_base
from tunesmith.models.package import Bundle, load_bundle, model_digest
from tunesmith.pipeline.calibrating import calibration_of, corrected, found_on_test, keep_with_model, sure_of
from tunesmith.pipeline.counts import refuse_what_cant_be_adapted
from tunesmith.pipeline.data_report import data_report
from tunesmith.pipeline.datasets import general_rows, groups_of, other_content, prepared_dataset, record_dataset
from tunesmith.pipeline.decisions import cores_here, settled
from tunesmith.pipeline.describing import write_model_card
from tunesmith.pipeline.evaluation import Sides, answerer, errors_to_read, score_baselines, score_tuned, systems_of
from tunesmith.pipeline.looks import Found, Looking, Tuned, look_at_all, pieces, with_findings
from tunesmith.pipeline.looks.memorisation import planted
from tunesmith.pipeline.looks.safety import refuse_unreadable
from tunesmith.pipeline.making import Making, had_again
from tunesmith.pipeline.material import Material, class_weights
from tunesmith.pipeline.preflight import CheckReport, preflight
from tunesmith.pipeline.rivals import Rival, refuse_others, rivals_of, score_rivals, what_it_has_seen
from tunesmith.pipeline.trackers import refuse_without_library
from tunesmith.pipeline.training import SNAPSHOTS, forget_checkpoints
from tunesmith.pipeline.twins import Twins, trainings, trainings_told
from tunesmith.pipeline.workspace import Stages, Workspace, library_versions, link_folder
from tunesmith.pipeline.writing import refuse_what_cant_be_written
from tunesmith.recipe import Recipe, check_agreement, dump_recipe, head_of, objective_of
from tunesmith.report.card import write_card
from tunesmith.score.prediction import Prediction

TRAIN_VERSION = 3
BASELINES_VERSION = 6
OPENINGS_BEFORE_WARNING = 10
LOOKED_AT = (
    "resamples",
    "errors_shown",
    "slices",
    "calibrate",
    "forgetting",
    "memorisation",
    "safety",
    "explain",
    "learning_curve",
    "seeds",
    "judge",
    "code",
    "prices",
    "against",
)
"""Settings of `evaluate` that change nothing of what baselines answer."""


@dataclass
class Bench:
    """What a round works with: its recipe, its rows, its base, a renderer. Loaded as needed."""

    recipe: Recipe
    workspace: Workspace
    dataset: Dataset
    base_hash: str
    listen: Listener = silent

    @cached_property
    def replay(self) -> tuple[list[Row], str]:
        """General rows to mix in while training, none of them held out, and their task."""
        held_out = [row for name, side in self.sides.items() if name != "train" for row in side]
        return general_rows(self.recipe, self.workspace, self.listen, held_out)

    def fresh_base(self) -> Base:
        """The base as it was pretrained; training changes the one it is given."""
        return load_base(self.recipe.base, seed=self.recipe.seed)

    @cached_property
    def base(self) -> Base:
        """The base, loaded once, for its tokenizer and shape; never trained."""
        return self.fresh_base()

    @cached_property
    def renderer(self) -> Renderer:
        """The one renderer of the round."""
        texts = label_texts(self.labels or (), words=self.recipe.data.label_words)
        method, context = self.recipe.method, self.base.context
        room = context - (method.virtual_tokens if method.name in ("prompt", "prefix") else 0)  # those take positions too
        if room < context // 4:
            raise RecipeError(
                f"method.virtual_tokens is {method.virtual_tokens}, and the base was made for {context} tokens in all: "
                f"set it to {context * 3 // 4} or less, so that rows have room."
            )
        asked = self.recipe.train.max_tokens
        most = room if asked is None else asked if asked > context else min(asked, room)
        return Renderer(self.base.tokenizer, max_tokens=most, label_texts=texts, new_tokens=self.recipe.base.new_tokens)

    @property
    def sides(self) -> Mapping[str, Sequence[Row]]:
        """The rows of each side."""
        return self.dataset.sides

    @cached_property
    def labels(self) -> tuple[str, ...] | None:
        """The label set of classify, multilabel and tag, in a fixed order: what training saw."""
        if self.dataset.task not in (Task.CLASSIFY, Task.MULTILABEL, Task.TAG):
            return None
        return tuple(sorted({label for row in self.sides["train"] for label in labels_of(row, self.dataset.task)}))

    @property
    def judged_alone(self) -> bool:
        """Of the task prefer: whether answers are judged one by one instead of in pairs."""
        return any(row.wanted is not None for row in self.sides["train"][:1])

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Names of the measures, the deciding one first."""
        answers = [row.answer for row in self.sides["train"]]
        return resolve(self.dataset.task, self.recipe.evaluate.metrics, answers=answers, judged=self.judged_alone)

    @cached_property
    def rivals(self) -> list[Rival]:
        """Other models that must be beaten."""
        return rivals_of(self.recipe, self.workspace)

    @property
    def judged(self) -> Sides:
        """What evaluation may see."""
        return Sides(self.sides["train"], self.sides["select"], self.sides["test"], self.labels, str(self.dataset.task))

    @property
    def material(self) -> Material:
        """What training and its validation take."""
        replay, replay_task = self.replay
        task = str(self.dataset.task.value)
        return Material(self.sides["train"], self.sides["select"], self.labels, task, replay=replay, replay_task=replay_task)

    def check(self) -> CheckReport:
        """Preflight over all rows. Raises what the run would raise later, where it can be known before: see `refuse_early`."""
        check_agreement(self.recipe, self.dataset.task, judged=self.judged_alone)
        self.refuse_early()
        measure = self.metrics[0]
        found = preflight(
            self.sides,
            self.renderer,
            self.recipe,
            self.dataset.task,
            self.labels,
            self.base.context,
            self.base.vocabulary,
            replay=self.replay[0],
        )
        found.facts["decided_by"] = measure
        found.facts["trainings"] = trainings(self.recipe)
        told = trainings_told(self.recipe)
        found.notes.extend([*self.dataset.notes, *([told] if told else [])])
        warned, noted = what_it_has_seen(self.rivals, self.dataset, self.workspace)
        found.warnings.extend(warned)
        found.notes.extend(noted)
        return found

    def refuse_early(self) -> None:
        """Raise what keeps the run from training that does not hang on its rows: libraries, class weights, a method that doesn't fit."""
        recipe, task, given = self.recipe, self.dataset.task, self.material
        refuse_without_library(recipe.train.track)
        refuse_unreadable(recipe, self.workspace)
        if recipe.evaluate.explain.enabled:
            require_captum()
        class_weights(recipe.objective, objective_of(recipe, task, judged=given.judged), given)
        refuse_what_cant_be_adapted(self.base, settled(recipe, str(task.value)).method, given.outputs)
        planted(recipe, task, self.sides["train"], self.labels)
        refuse_what_cant_be_written(self.base.model, self.renderer, self.judged, recipe, self.metrics[0])
        refuse_others(self.rivals, task, self.labels, self.metrics[0], self.base.tokenizer.get_vocab)


def bench_of(recipe: Recipe, workspace: Workspace, listen: Listener, base_hash: str) -> Bench:
    """Prepare the data, or take what was prepared before."""
    dataset, _ = prepared_dataset(recipe, workspace, listen)
    return Bench(recipe, workspace, dataset, base_hash, listen)


@dataclass
class Execution:
    """One round being executed."""

    recipe: Recipe
    workspace: Workspace
    base_hash: str
    round_id: str
    identity: str
    again: int
    """1 for the first round of an identity, 2 for the second, which shares no training with it."""
    ledger: Ledger
    listen: Listener
    started: float

    @property
    def folder(self) -> Path:
        """Where the round lies."""
        return self.workspace.rounds / self.round_id

    @cached_property
    def bench(self) -> Bench:
        """Its material, prepared when first asked for."""
        return bench_of(self.recipe, self.workspace, self.listen, self.base_hash)

    @property
    def stages(self) -> Stages:
        """Its stages."""
        return Stages(self.workspace, self.ledger, self.round_id, self.listen)

    def seconds(self) -> float:
        """Time spent on the round so far, earlier executions included."""
        clock = self.folder / "clock.json"
        earlier = read_json(clock)["seconds"] if clock.exists() else 0.0
        return float(earlier) + time.monotonic() - self.started

    def tick(self) -> None:
        """Keep the time spent, so that a killed round still knows it."""
        write_json(self.folder / "clock.json", {"seconds": self.seconds()})
        self.started = time.monotonic()

    def go(self) -> dict[str, Any]:
        """Every stage in order; returns the report."""
        record_dataset(self.ledger, self.bench.dataset)
        self.ledger.set_dataset(self.round_id, self.bench.dataset.id)
        check = self.preflight()
        self.tick()
        model_folder = self.train()
        self.tick()
        openings = self.ledger.open_test_set(self.bench.dataset.side_hash("test"), self.round_id)
        baselines = self.baselines()
        self.tick()
        predictions = self.folder / "predictions" / "tuned.jsonl"
        tuned = self.tuned(model_folder)
        calibration = self.calibration(tuned.answerer)
        keep_with_model(self.folder / "model", calibration, self.sure)
        answers = corrected(predictions, lambda: score_tuned(tuned.answerer, self.bench.judged, self.listen), calibration)
        self.tick()
        given = self.looking(tuned, answers, baselines)
        believed = found_on_test(calibration, predictions, given.metric, given.groups("test"), self.recipe.gates.calibration_error)
        findings = {"calibration": believed, **look_at_all(given)}
        report = self.report(check, baselines, predictions, openings, findings)
        shutil.rmtree(self.folder / SNAPSHOTS, ignore_errors=True)  # what they tell is told; the cache has them still
        return report

    def tuned(self, model_folder: Path) -> Tuned:
        """The trained model, as whoever loads it from its folder has it."""
        return had_again(model_folder, self.bench.judged, self.recipe, self.sure)

    @property
    def sure(self) -> Sure | None:
        """What the confidence of the tuned model's written answers is made from."""
        bench = self.bench
        return sure_of(self.recipe, bench.dataset.task, bench.metrics[0], len(bench.sides["calibrate"]))

    def looking(self, tuned: Tuned, answers: list[Prediction], baselines: Path) -> Looking:
        """What is looked at beside the score."""
        bench = self.bench
        return Looking(
            recipe=self.recipe,
            folder=self.folder,
            dataset=bench.dataset,
            sides=bench.judged,
            metric=bench.metrics[0],
            base=bench.base,
            base_hash=bench.base_hash,
            tuned=tuned,
            answers=answers,
            baselines=baselines,
            replay=bench.replay[0],
            twins=self.twins,
            stages=self.stages,
            listen=self.listen,
        )

    @property
    def making(self) -> Making:
        """Its own training."""
        bench = self.bench
        return Making(recipe=self.recipe, renderer=bench.renderer, material=bench.material, bundle=self.bundle, listen=self.listen)

    @property
    def twins(self) -> Twins:
        """What trains its recipe once more."""
        bench = self.bench
        return Twins(
            making=self.making,
            inputs=self.training_inputs(),
            folder=self.folder / "twins",
            dataset=bench.dataset,
            judged=bench.judged,
            metric=bench.metrics[0],
            stages=self.stages,
        )

    def calibration(self, tuned: Answers) -> Calibration | None:
        """What corrects the tuned model's confidences, from rows that neither trained nor judge it."""
        bench, recipe = self.bench, self.recipe
        groups = groups_of(bench.dataset, "calibrate", recipe.data.split.by)
        kept = self.folder / "predictions" / "calibrate.jsonl"
        return calibration_of(tuned, bench.sides["calibrate"], bench.metrics[0], recipe, kept, groups, self.listen)

    def preflight(self) -> CheckReport:
        """Refuse a broken run before any training."""
        found = self.bench.check()
        write_json(self.folder / "preflight.json", found.to_json() | {"examples": []})
        for warning in found.warnings:
            self.listen(Said(warning, warning=True))
        if told := trainings_told(self.recipe):
            self.listen(Said(told))
        if found.problems:
            raise DataError(" ".join(found.problems))
        return found

    def training_inputs(self) -> dict[str, Any]:
        """All that training depends on."""
        recipe, bench = self.recipe, self.bench
        return {
            "dataset": bench.dataset.id,
            "base": bench.base_hash,
            "recipe": recipe.model_dump(mode="json", include={"seed", "objective", "method", "train"}, exclude={"train": {"track"}}),
            "instruction": recipe.data.instruction,
            "label_words": recipe.data.label_words,
            "others": other_content(recipe),
            "again": self.again,
            "metric": bench.metrics[0],  # the checkpoint is chosen by it
        }

    def train(self) -> Path:
        """The training stage: resumable inside the round's folder, its result kept like any other stage's."""
        inputs, explain = self.training_inputs(), self.recipe.evaluate.explain
        if explain.enabled and explain.influence:
            inputs["snapshots"] = explain.snapshots  # kept beside the model, which is the same without

        def make(out: Path) -> None:
            self.making.into(out, self.folder / "training")

        out = self.stages.folder("train", TRAIN_VERSION, inputs, make)
        link_folder(out / "model", self.folder / "model")
        method = load_bundle(out / "model").method
        write_json(self.folder / "model" / "tunesmith.json", asdict(self.bundle(method)))  # this round's own, whoever trained it
        forget_checkpoints(self.folder / "training")  # each is three times the model; the model is what was wanted of them
        write_json(self.folder / "training.json", read_json(out / "training.json"))
        if (out / SNAPSHOTS).is_dir():
            link_folder(out / SNAPSHOTS, self.folder / SNAPSHOTS)
        return self.folder / "model"

    def bundle(self, method: str) -> Bundle:
        """What the model needs to answer as it is evaluated."""
        recipe = self.recipe
        return Bundle(
            task=str(self.bench.dataset.task),
            method=method,
            max_tokens=self.bench.renderer.max_tokens,
            labels=self.bench.labels,
            label_texts=self.bench.renderer.label_texts,
            instruction=recipe.data.instruction,
            max_new_tokens=recipe.evaluate.max_new_tokens,
            decoding=None if (decoding := decoding_of(recipe.evaluate.decoding)).plain else decoding.to_json(),
            base=recipe.base.model_dump(mode="json") | {"path": lasting_path(recipe.base)},
            head=head_of(recipe, self.bench.dataset.task) != "tokens",
            base_seed=recipe.seed,
        )

    def baselines(self) -> Path:
        """Score what the fine-tuned model must beat; shared by every round with the same data, base and evaluation."""
        recipe, bench = self.recipe, self.bench
        inputs = {
            "dataset": bench.dataset.id,
            "base": bench.base_hash,
            "evaluate": recipe.evaluate.model_dump(mode="json", exclude=set(LOOKED_AT)),
            "against": [rival.content for rival in bench.rivals],
            "metric": bench.metrics[0],
            "instruction": recipe.data.instruction,
            "label_words": recipe.data.label_words,
            "max_tokens": bench.renderer.max_tokens,
            "seed": recipe.seed,
        }

        def make(out: Path) -> None:
            def base() -> Any:
                return answerer(bench.base.model, bench.renderer, bench.judged, recipe)

            answers = make_folder(self.folder / "baselines-unfinished")  # outlives a kill: no system answers the test rows twice
            piece = score_baselines(base, bench.judged, recipe, bench.metrics, answers, self.listen)
            piece["names"] |= score_rivals(bench.rivals, bench.judged, recipe, answers, self.listen)
            shutil.copytree(answers, out, dirs_exist_ok=True)
            write_json(out / "few_shot.json", piece)

        out = self.stages.folder("baselines", BASELINES_VERSION, inputs, make)
        shutil.rmtree(self.folder / "baselines-unfinished", ignore_errors=True)
        return out

    def report(
        self, check: CheckReport, baselines: Path, tuned: Path, openings: int, findings: Mapping[str, Found | None]
    ) -> dict[str, Any]:
        """Judge, assemble the report, write the card, tell the ledger."""
        recipe, bench = self.recipe, self.bench
        few_shot = read_json(baselines / "few_shot.json")
        link_folder(baselines, self.folder / "baselines")
        systems = systems_of(baselines, tuned, few_shot)
        judgement = with_findings(self.judged(systems), findings)
        warnings = [*check.warnings]
        if openings >= OPENINGS_BEFORE_WARNING:
            warnings.append(
                f"This test set has been opened by {openings} rounds: what is chosen by it no longer holds on new rows. Get fresh test rows."
            )
        hashes = {
            "recipe": recipe.identity(),
            "dataset": bench.dataset.id,
            "base": bench.base_hash,
            "model": model_digest(self.folder / "model"),
        }
        record = self.ledger.round(self.round_id)
        report: dict[str, Any] = {
            "schema": 1,
            "round": {
                "id": self.round_id,
                "identity": self.identity,
                "status": "done",
                "created": record.created,
                "finished": now(),
                "seconds": self.seconds(),
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "continued": record.continued,
            },
            **judgement.to_json(),
            "few_shot": few_shot if few_shot["tried"] else None,
            **pieces(findings),
            "data": data_report(bench.dataset) | {"truncated": check.facts["truncated"], "test_openings": openings},
            "training": read_json(self.folder / "training.json"),
            "errors": errors_to_read(systems[-1].predictions, bench.sides["test"], recipe.evaluate.errors_shown)
            if bench.dataset.task != "text"
            else [],
            "recipe": dump_recipe(recipe),
            "environment": environment(),
            "hashes": hashes,
            "seeds": {"recipe": recipe.seed},
            "warnings": warnings,
        }
        write_card(report, self.folder)
        write_model_card(report, self.folder / "model", recipe, bench.renderer)
        self._tell_ledger(report)
        return report

    def judged(self, systems: Sequence[System]) -> Judgement:
        """The verdict on the test rows."""
        recipe, bench = self.recipe, self.bench
        return judge(
            systems,
            task=bench.dataset.task,
            metrics=bench.metrics,
            resamples=recipe.evaluate.resamples,
            seed=recipe.seed,
            gates=recipe.gates,
            groups=groups_of(bench.dataset, "test", recipe.data.split.by),
            prices=recipe.evaluate.prices,
            training_seconds=sum(step["seconds"] for step in read_json(self.folder / "training.json")["steps"]),
        )

    def _tell_ledger(self, report: dict[str, Any]) -> None:
        hashes = report["hashes"]
        model = self.folder / "model"
        size = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
        self.ledger.record_artefact(
            ArtefactRecord(content_hash=hashes["model"], kind="model", path=str(model), bytes=size, round_id=self.round_id)
        )
        self.ledger.record_edges(
            [Edge(hashes["model"], hashes["base"], "tuned from"), Edge(hashes["model"], hashes["dataset"], "trained on")]
        )
        self.ledger.record_metrics(
            MetricRecord(round_id=self.round_id, system=system["key"], name=name, side="test", **figures)
            for system in report["systems"]
            for name, figures in system["metrics"].items()
            if figures is not None
        )
        self.ledger.finish_round(self.round_id, "done", report["round"]["seconds"], verdict=report["verdict"])

    @contextlib.contextmanager
    def failures_recorded(self) -> Iterator[None]:
        """A round that can't go on says why in the ledger; a killed one stays `running` and is continued."""
        try:
            yield
        except TunesmithError as error:
            status: Status = "diverged" if isinstance(error, DivergedError) else "failed"
            with contextlib.suppress(TunesmithError):  # a full disk takes no more; why it stopped must be told, not that
                self.ledger.finish_round(self.round_id, status, self.seconds(), error=str(error))
            raise


def environment() -> dict[str, Any]:
    """What the figures were made with."""
    return {
        "tunesmith": version("tunesmith"),
        "python": platform.python_version(),
        **library_versions(),
        "cpu": _cpu(),
        "threads": cores_here(),
        "platform": f"{sys.platform} {platform.machine()}",
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def start_folder(folder: Path, recipe: Recipe) -> None:
    """Make a round's folder with its recipe."""
    make_folder(folder)
    if not (folder / "recipe.yaml").exists():
        write_text(folder / "recipe.yaml", dump_recipe(recipe))
