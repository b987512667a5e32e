"""One round, from its recipe to its report card: the stages in order."""

import contextlib
import resource
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, DivergedError, TunesmithError
from tunesmith.core.files import make_folder, read_json, write_json, write_text
from tunesmith.core.hashing import digest, digest_folder
from tunesmith.core.progress import Listener, Said
from tunesmith.evaluate.calibration import Calibration
from tunesmith.evaluate.systems import Answers
from tunesmith.evaluate.verdict import Judgement, System, judge
from tunesmith.evaluate.written import Sure
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.records import ArtefactRecord, Edge, MetricRecord, Status, now
from tunesmith.models.package import load_bundle, model_digest
from tunesmith.pipeline.bench import Bench, bench_of
from tunesmith.pipeline.calibrating import calibration_of, corrected, found_on_test, keep_with_model, sure_of
from tunesmith.pipeline.data_report import data_report
from tunesmith.pipeline.datasets import groups_of, record_dataset
from tunesmith.pipeline.decisions import device_here
from tunesmith.pipeline.describing import write_model_card
from tunesmith.pipeline.environment import cpu_name, environment
from tunesmith.pipeline.estimating import foretold
from tunesmith.pipeline.evaluation import answerer, best_prompt, errors_to_read, score_baselines, score_tuned, systems_of
from tunesmith.pipeline.held import OF_BASELINES, OF_MODEL, OF_SCORING, OF_TRAINING, hold
from tunesmith.pipeline.looks import Found, Looking, Tuned, look_at_all, pieces, published, with_findings
from tunesmith.pipeline.making import Making, had_again
from tunesmith.pipeline.one_training import STAGE, TRAIN_VERSION, asked_of, bundle_of, making_of, training_inputs
from tunesmith.pipeline.preflight import CheckReport
from tunesmith.pipeline.references import keep_reference
from tunesmith.pipeline.rivals import score_rivals
from tunesmith.pipeline.training import SNAPSHOTS, forget_checkpoints
from tunesmith.pipeline.twins import Twins, trainings_told
from tunesmith.pipeline.workspace import Stages, Workspace, link_folder, stage_key
from tunesmith.recipe import Recipe, dump_recipe
from tunesmith.report.card import write_card
from tunesmith.score.prediction import Prediction

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
    "bias",
    "metrics",  # the first of them decides, and is named apart
)
"""Settings of `evaluate` that change nothing of what baselines answer."""


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
        self.foretell()
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
        keep_reference(self.folder / "model", self.bench.dataset, answers, self.recipe.data.split.by, self.bench.labels)
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
        return making_of(self.bench, self.listen)

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

    def foretell(self) -> None:
        """Say what training is about to take, and refuse what can't fit; not where it has begun already, or was done for another round."""
        begun = (self.folder / "training" / "decisions.json").exists() or (self.folder / "model").exists()
        if not begun and self.ledger.reusable_stage(stage_key("train", TRAIN_VERSION, self.training_inputs())) is None:
            foretold(self.bench, self.listen)

    def training_inputs(self) -> dict[str, Any]:
        """All that training depends on."""
        return training_inputs(self.bench, self.again)

    def train(self) -> Path:
        """The training stage: resumable inside the round's folder, its result kept like any other stage's."""
        inputs, explain = self.training_inputs(), self.recipe.evaluate.explain
        elsewhere = {name: held for name, held in inputs.items() if name != "device"}  # on another device training refuses to go on itself
        hold(self.folder, "training", stage_key("train", TRAIN_VERSION, elsewhere), OF_TRAINING)
        wanted = explain.enabled and explain.influence

        def make(out: Path) -> None:
            self.making.into(out, self.folder / "training")

        asked, also = asked_of(inputs, self.recipe)
        out = self.stages.folder(STAGE, TRAIN_VERSION, asked, make, also)
        hold(self.folder, "model", digest([stage_key("train", TRAIN_VERSION, inputs), model_digest(out / "model")]), OF_MODEL)
        link_folder(out / "model", self.folder / "model")
        method = load_bundle(out / "model").method
        write_json(self.folder / "model" / "tunesmith.json", asdict(bundle_of(self.bench, method)))  # this round's own, whoever trained it
        forget_checkpoints(self.folder / "training")  # each is three times the model; the model is what was wanted of them
        write_json(self.folder / "training.json", read_json(out / "training.json"))
        if wanted and (out / SNAPSHOTS).is_dir():
            link_folder(out / SNAPSHOTS, self.folder / SNAPSHOTS)
        return self.folder / "model"

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
            "device": device_here().type,
            "cpu": cpu_name(),  # what answers take and cost is told of it
        }
        key = stage_key("baselines", BASELINES_VERSION, inputs)
        hold(self.folder, "scoring", key, OF_SCORING)

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
        hold(self.folder, "baselines", digest([key, digest_folder(out)]), OF_BASELINES)
        return out

    def report(
        self, check: CheckReport, baselines: Path, tuned: Path, openings: int, findings: Mapping[str, Found | None]
    ) -> dict[str, Any]:
        """Judge, assemble the report, write the card, tell the ledger."""
        recipe, bench = self.recipe, self.bench
        few_shot = read_json(baselines / "few_shot.json")
        link_folder(baselines, self.folder / "baselines")
        systems = systems_of(baselines, tuned, few_shot)
        judged = self.judged(systems, few_shot)
        judgement = with_findings(judged, findings, recipe.gates)
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
            "published": published(judged, findings),
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

    def judged(self, systems: Sequence[System], few_shot: Mapping[str, Any]) -> Judgement:
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
            best_prompt=best_prompt(few_shot, bench.metrics[0]),
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


def start_folder(folder: Path, recipe: Recipe) -> None:
    """Make a round's folder with its recipe."""
    make_folder(folder)
    if not (folder / "recipe.yaml").exists():
        write_text(folder / "recipe.yaml", dump_recipe(recipe))
