"""The peer's side: TRL's SFTTrainer and DPOTrainer, and transformers' Trainer for a classification head.

Runs in the peer's environment. It is given rows as token ids, in the order of our steps, and the names of what may
change. What a user can turn off is off: evaluation, saving, logging, gradient checkpointing, tokenising. The clock runs
from the start of training, after the trainer has been made, to the end of the last step; reference log-probabilities
that a DPOTrainer computes beforehand are added.

A candidate is one way of running the same steps. `packing` and `group_by_length` put other rows together than were
asked for: they are timed for the record and never chosen.
"""

import os
import tempfile
import time
from typing import Any

import torch
import transformers
import trl
from datasets import Dataset
from training.worker import Memory, serve
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback

SEED = 0

CANDIDATES: dict[str, dict[str, Any]] = {
    "padded": {},
    "padding_free": {"padding_free": True, "max_length": None},
    "two_passes": {"passes": 2},
    "rebalanced_two": {"passes": 2, "train_sampling_strategy": "batch_rebalance"},
    "rebalanced_four": {"passes": 4, "train_sampling_strategy": "batch_rebalance"},
    "loader_process": {"dataloader_num_workers": 1, "dataloader_prefetch_factor": 4, "dataloader_persistent_workers": True},
    "compiled": {"torch_compile": True},
    "compiled_four": {"torch_compile": True, "passes": 4, "train_sampling_strategy": "batch_rebalance"},
    "row_a_turn": {"row_a_turn": True, "passes": 8},
    "reference_each_step": {},
    "reference_before": {"precompute_ref_log_probs": True},
    "reference_before_two": {"precompute_ref_log_probs": True, "passes": 2},
    "reference_before_four": {"precompute_ref_log_probs": True, "passes": 4},
    "packing": {"packing": True, "max_length": 2048},
    "group_by_length": {"train_sampling_strategy": "group_by_length"},
}
"""Settings of the trainers by name; `passes` and `row_a_turn` are read here: a step in so many passes through the model, a
dialogue as one row for each answer. `batch_rebalance` puts rows of like length into the same pass of a step; it is kept
from shuffling, so that the steps stay those that were asked for. A DPOTrainer takes the mean of each pass, so its passes
must hold equally many pairs, which `batch_rebalance` does not promise."""
OTHER_BATCHES = frozenset({"packing", "group_by_length"})


class Clock(TrainerCallback):
    """When training began and when each step ended."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.began = 0.0
        self.ends: list[float] = []

    def _now(self) -> float:
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.began = self._now()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(self._now() if self.device == "cpu" else time.perf_counter())

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.ends[-1] = self._now()


def watched(trainer: type) -> type:
    """The trainer, keeping each pass's loss, and taking rows as they are."""

    class Watched(trainer):  # type: ignore[misc]
        def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
            loss = super().training_step(*args, **kwargs)
            self.seen.append(loss.detach())
            return loss

        def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
            sampler = super()._get_train_sampler(*args, **kwargs)
            if hasattr(sampler, "shuffle"):
                sampler.shuffle = False
            return sampler

        def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
            return super()._prepare_dataset(dataset, *args, **kwargs) if self.packs else dataset

        def _precompute_ref_logps(self, *args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            dataset = super()._precompute_ref_logps(*args, **kwargs)
            self.reference_seconds += time.perf_counter() - started
            return dataset

    Watched.seen, Watched.packs, Watched.reference_seconds = [], False, 0.0
    return Watched


class TurnCollator:
    """Whole dialogues in, one padded row for each answer out: the other way of supervising every turn."""

    def __init__(self, pad: int) -> None:
        self.pad = pad

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        turns = [(row["input_ids"][:end], start) for row in rows for start, end in row["spans"]]
        width = max(len(ids) for ids, _ in turns)
        ids_RT = torch.full((len(turns), width), self.pad)
        labels_RT = torch.full((len(turns), width), -100)
        mask_RT = torch.zeros((len(turns), width), dtype=torch.long)
        for place, (ids, start) in enumerate(turns):
            ids_RT[place, : len(ids)] = torch.tensor(ids)
            labels_RT[place, start : len(ids)] = torch.tensor(ids[start:])
            mask_RT[place, : len(ids)] = 1
        return {"input_ids": ids_RT, "labels": labels_RT, "attention_mask": mask_RT}


class Side:
    """The commands of the peer's side."""

    def prepare(self, case: dict[str, Any], material: dict[str, Any], order: list[list[str]], trainable: list[str], **where: Any) -> dict:
        """Take a case up: its rows in the order of our steps."""
        self.case, self.trainable, self.folder, self.device = case, frozenset(trainable), where["folder"], where["device"]
        self.liger = where.get("liger", False)
        by_id = {row["id"]: row for row in material["rows"]}
        self.steps = [[by_id[row_id] for row_id in step] for step in order]
        self.labels = material.get("labels")
        self.tokenizer = AutoTokenizer.from_pretrained(f"{self.folder}/model")
        return {"version": f"trl {trl.__version__}, transformers {transformers.__version__}"}

    def warm(self, candidate: str) -> dict[str, Any]:
        """Two steps that are thrown away."""
        return self._run(candidate, 2)

    def probe(self, candidate: str, steps: int) -> dict[str, Any]:
        """A few steps: their speed without the first, which warms up, and their losses."""
        steps = 1 if CANDIDATES[candidate].get("row_a_turn") else steps  # several times the tokens: one step tells
        if CANDIDATES[candidate].get("torch_compile"):
            self._run(candidate, steps + 1)  # compiles, for every width there is
        done = self._run(candidate, steps + 1)
        rows = [row for step in self.steps[: steps + 1] for row in step]
        share = len(self.steps[0]) / len(rows) if candidate not in OTHER_BATCHES else 1 / (steps + 1)
        mean_tokens = sum(_length(row) for row in rows) / len(rows)
        trained = done["tokens"] / mean_tokens if candidate in OTHER_BATCHES else len(rows)
        speed = trained * (1 - share) / done["seconds_after_first"]
        return {"rows_per_second": round(speed, 3), "losses": done["losses"]}

    def run(self, candidate: str) -> dict[str, Any]:
        """One timed run from fresh weights."""
        return self._run(candidate, len(self.steps))

    def _run(self, candidate: str, most: int) -> dict[str, Any]:
        settings = dict(CANDIDATES[candidate])
        steps = self.steps[:most]
        make = {"sft": self._sft, "dpo": self._dpo, "head": self._head}[self.case["kind"]]
        clock = Clock(self.device)
        with tempfile.TemporaryDirectory() as scratch:
            memory, trainer = make(steps, settings, clock, scratch)
            trainer.remove_callback(transformers.PrinterCallback)
            trainer.train()
            held = memory.read()
        passes = trainer.args.gradient_accumulation_steps
        seen = [one.item() for one in trainer.seen]  # each pass's share of its step
        extra = trainer.reference_seconds
        return {
            "seconds": clock.ends[-1] - clock.began + extra,
            "seconds_after_first": clock.ends[-1] - clock.ends[0] + extra * (len(steps) - 1) / len(steps),
            "losses": [sum(seen[start : start + passes]) for start in range(0, len(seen), passes)],
            "tokens": getattr(trainer, "_total_train_tokens", 0),
        } | held

    def _common(self, settings: dict[str, Any], scratch: str, steps: int) -> dict[str, Any]:
        """What every trainer is told: our optimiser, nothing beside training."""
        passes = settings.pop("passes", 1)
        rows_a_pass = self.case["batch_rows"] // passes
        if settings.get("packing"):  # full rows, as many as hold about the tokens of a step
            tokens = sum(_length(row) for row in self.steps[0])
            rows_a_pass = max(1, round(tokens / settings["max_length"]))
        return {
            "output_dir": scratch,
            "max_steps": steps,
            "per_device_train_batch_size": rows_a_pass,
            "gradient_accumulation_steps": passes,
            "train_sampling_strategy": "sequential",
            "learning_rate": self.case["learning_rate"],
            "lr_scheduler_type": "constant",
            "warmup_steps": 0,
            "optim": "adamw_torch_fused",
            "adam_beta1": 0.9,
            "adam_beta2": 0.95,
            "adam_epsilon": 1e-8,
            "weight_decay": 0.0,
            "max_grad_norm": 1.0,
            "bf16": self.device == "cuda",
            "fp16": False,
            "use_cpu": self.device == "cpu",
            "gradient_checkpointing": False,
            "use_liger_kernel": self.liger,
            "eval_strategy": "no",
            "save_strategy": "no",
            "logging_strategy": "no",
            "logging_nan_inf_filter": False,
            "report_to": "none",
            "disable_tqdm": True,
            "dataloader_pin_memory": self.device == "cuda",
            "seed": SEED,
        } | settings

    def _model(self) -> torch.nn.Module:
        """Fresh weights, with what ours trains left to train."""
        model: Any = AutoModelForCausalLM.from_pretrained(f"{self.folder}/model", dtype=torch.float32)
        if self.case["method"] == "lora":
            from peft import LoraConfig, get_peft_model

            torch.manual_seed(SEED)  # the adapters' first values, as on our side
            lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM", bias="none")
            return get_peft_model(model, lora)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in self.trainable)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise ValueError("none of the trainable names that were given is a parameter here")
        return model

    def _sft(self, steps: list[list[dict]], settings: dict[str, Any], clock: Clock, scratch: str) -> tuple[Memory, Any]:
        turns = settings.pop("row_a_turn", False)
        packs = settings.get("packing", False)
        rows = [row for step in steps for row in step]
        dataset = Dataset.from_list([_labelled(row, turns) for row in rows])
        settings = {"max_length": 2048} | settings
        if not packs:
            settings["dataset_kwargs"] = {"skip_prepare_dataset": True}
        if turns:
            settings["remove_unused_columns"] = False
        trainer = watched(trl.SFTTrainer)
        trainer.packs = packs
        made = trainer(
            model=self._model(),
            args=trl.SFTConfig(**self._common(settings, scratch, len(steps))),
            train_dataset=dataset,
            processing_class=self.tokenizer,
            data_collator=TurnCollator(self.tokenizer.pad_token_id) if turns else None,
            callbacks=[clock],
        )
        return Memory(self.device), made

    def _dpo(self, steps: list[list[dict]], settings: dict[str, Any], clock: Clock, scratch: str) -> tuple[Memory, Any]:
        rows = [row for step in steps for row in step]
        pairs = [{"prompt_ids": row["prompt"], "chosen_ids": row["chosen"], "rejected_ids": row["rejected"]} for row in rows]
        dataset = Dataset.from_list(pairs)
        dataset._fingerprint = os.urandom(8).hex()  # reference log-probabilities of an earlier run must not be found again
        model = self._model()
        memory = Memory(self.device)  # before the trainer: it may compute the reference while it is made
        made = watched(trl.DPOTrainer)(
            model=model,
            args=trl.DPOConfig(beta=0.1, max_length=2048, **self._common(settings, scratch, len(steps))),
            train_dataset=dataset,
            processing_class=self.tokenizer,
            callbacks=[clock],
        )
        return memory, made

    def _head(self, steps: list[list[dict]], settings: dict[str, Any], clock: Clock, scratch: str) -> tuple[Memory, Any]:
        model: Any = AutoModelForSequenceClassification.from_pretrained(f"{self.folder}/classifier-{self.labels}", dtype=torch.float32)
        model.model.requires_grad_(False)
        rows = [{"input_ids": row["ids"], "labels": row["label"]} for step in steps for row in step]
        made = watched(transformers.Trainer)(
            model=model,
            args=transformers.TrainingArguments(**self._common(settings, scratch, len(steps))),
            train_dataset=rows,
            processing_class=self.tokenizer,
            data_collator=transformers.DataCollatorWithPadding(self.tokenizer),
            callbacks=[clock],
        )
        return Memory(self.device), made


def _length(row: dict[str, Any]) -> int:
    return len(row["ids"]) if "ids" in row else len(row["prompt"]) + max(len(row["chosen"]), len(row["rejected"]))


def _labelled(row: dict[str, Any], spans: bool) -> dict[str, Any]:
    """A row as SFTTrainer takes it: -100 where nothing is learnt."""
    labels = [-100] * len(row["ids"])
    for start, end in row["spans"]:
        labels[start:end] = row["ids"][start:end]
    return {"input_ids": row["ids"], "labels": labels} | ({"spans": row["spans"]} if spans else {})


if __name__ == "__main__":
    side = Side()
    serve({name: getattr(side, name) for name in ("prepare", "warm", "probe", "run")})
