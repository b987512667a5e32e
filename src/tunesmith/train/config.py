"""The `objective` and `train` sections of a recipe.

Each number has two ends, the outer one far beyond what papers and people use: past it a run would only fail late, or
learn nothing without a word.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tunesmith.section import Section

ObjectiveName = Literal[
    "sft", "text", "class", "multilabel", "regression", "tags", "dpo", "ipo", "kto", "orpo", "simpo", "distill", "unlikelihood"
]
Precision = Literal["fp32", "bf16"]
TASK_DEFAULTS = ("sft", "text", "class", "multilabel", "regression", "tags")
"""What `objective.name` may become where it is absent, by task and head."""
_LABELLED = ("class", "multilabel", "tags")
TAKEN_BY: dict[str, tuple[str, ...]] = {
    "label_smoothing": ("sft", "text", "class", "tags"),
    "focal_gamma": ("sft", "text", *_LABELLED),
    "class_weights": _LABELLED,
    "huber_delta": ("regression",),
    "beta": ("dpo", "ipo", "kto", "simpo"),
    "per_token": ("dpo", "ipo"),
    "margin": ("simpo",),
    "odds_weight": ("orpo",),
    "desirable_weight": ("kto",),
    "undesirable_weight": ("kto",),
    "teacher": ("distill",),
    "direction": ("distill",),
    "temperature": ("distill",),
    "hard_share": ("distill",),
    "unwanted_weight": ("unlikelihood",),
}
"""Which objectives take which setting of ObjectiveConfig; a test holds it to the objectives' own fields."""


class ObjectiveConfig(Section):
    """What is minimised. A setting that the named objective does not take must stay at its default."""

    name: ObjectiveName | None = None
    """Next token: `sft` on the answer, `text` on all, `unlikelihood`, `distill`; heads: `class`, `multilabel`, `regression`, `tags`; the others: preferences. By task if absent."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target spread evenly over all tokens or labels (Szegedy et al., 2016), for sft, text, class and tags."""
    focal_gamma: float = Field(default=0.0, ge=0, le=100)
    """How much less tokens or labels count that the model is already sure of (Lin et al., 2017; 2 is usual), for sft, text, class, multilabel and tags; 0: all count the same."""
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Field(gt=0, le=1e6)]] | None = None
    """What a label's rows count, for class, multilabel and tags: `balanced` for inversely to how often it occurs, or label -> weight, 1 for those not named; null: all the same."""
    huber_delta: float | None = Field(default=None, gt=0, le=1e12)
    """Errors beyond it count linearly instead of squared (Huber, 1964), in the target's units, for regression; null: squared error."""
    beta: float | None = Field(default=None, gt=0, le=1000)
    """Pull toward the reference for dpo, ipo and kto (0.1 where absent); for simpo the scale of the difference per token (2 where absent)."""
    per_token: bool | None = None
    """Whether answers are compared by their mean per token instead of their sum, for dpo (false where absent; with true take a larger beta, such as 5) and ipo (true)."""
    margin: float = Field(default=1.0, ge=0, le=1000)
    """By how much the chosen answer is to lead before simpo is content: gamma in Meng et al. (2024)."""
    odds_weight: float = Field(default=0.1, gt=0, le=1000)
    """Weight of orpo's odds ratio beside the loss of the chosen answer: lambda in Hong et al. (2024)."""
    desirable_weight: float = Field(default=1.0, gt=0, le=1000)
    """What a good answer counts in kto; raise it where good answers are the rarer ones."""
    undesirable_weight: float = Field(default=1.0, gt=0, le=1000)
    """What a bad answer counts in kto; raise it where bad answers are the rarer ones."""
    teacher: str | None = None
    """The model distill learns from: a folder or hub id, as in base.path, with the same vocabulary; null: the base itself, as it was before training."""
    direction: Literal["forward", "reverse"] = "forward"
    """Which divergence distill minimises: `forward` covers all that the teacher says, `reverse` keeps to what it says most."""
    temperature: float = Field(default=1.0, ge=0.01, le=1000)
    """Softens teacher and student alike in distill: above 1, unlikely tokens count more (Hinton et al., 2015)."""
    hard_share: float = Field(default=0.5, ge=0, le=1)
    """Share of the ordinary next-token loss in distill; the rest is the teacher's."""
    unwanted_weight: float = Field(default=1.0, gt=0, le=1000)
    """What a token of an unwanted answer counts in unlikelihood, a wanted one counting 1: alpha in Welleck et al. (2020)."""

    def ignored_by(self, name: str) -> str | None:
        """One sentence, without its full stop, about the first setting that is changed and that `name` ignores; None where there is none."""
        for setting in self._changed():
            if name not in TAKEN_BY[setting]:
                takers = ", ".join(TAKEN_BY[setting])
                return f"{setting} is taken by {takers}, not by {name}: remove {setting}, or change objective.name"
        return None

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> "ObjectiveConfig":
        """Without a name, whatever one of the task defaults takes may be set; the rest is seen when the name is resolved."""
        ignored = self.ignored_by(self.name) if self.name else None
        if ignored is not None:
            raise ValueError(ignored)
        for setting in self._changed():
            takers = TAKEN_BY[setting]
            if self.name is None and not set(takers) & set(TASK_DEFAULTS):
                raise ValueError(f"{setting} is taken by {', '.join(takers)}: set objective.name to one of them, or remove {setting}")
        return self

    def _changed(self) -> list[str]:
        return [setting for setting in TAKEN_BY if getattr(self, setting) != type(self).model_fields[setting].default]


class EarlyStoppingConfig(Section):
    """When to stop before the last epoch."""

    patience: int | None = Field(default=3, ge=1, le=100_000)
    """Stop after this many evaluations in a row in which neither validation loss nor the measure that chooses got better; null never stops early. The best is kept either way."""
    minimum_gain: float = Field(default=0.0, ge=0, le=1e12)
    """A validation loss counts as lower when it falls by more than this."""
    by: Literal["measure", "loss"] = "measure"
    """Chooses the checkpoint. `measure`: of class, multilabel and regression heads the one that decides the verdict, the loss between equals; of the rest, as `loss`, the loss."""


_OPTIMIZERS_OF = {"betas": ("adamw", "lion", "muon"), "momentum": ("sgd", "muon"), "nesterov": ("sgd",)}
"""Which optimisers take which setting of TrainConfig."""


class PlateauConfig(Section):
    """When `schedule: plateau` lowers the rate."""

    factor: float | None = Field(default=None, ge=0.001, lt=1)
    """What the rate is multiplied by each time; 0.5 where absent."""
    patience: int | None = Field(default=None, ge=1, le=100_000)
    """Lower it after this many evaluations in a row without a lower validation loss; 1 where absent."""


class ReplayConfig(Section):
    """General rows mixed into the steps, so that what the base knew is not forgotten (Rolnick et al., 2019)."""

    path: str | None = None
    """A file of general rows, read as `data.path` is; null replays nothing."""
    share: float | None = Field(default=None, gt=0, le=0.99)
    """Share of the rows that are general ones, over the run, to within a row: where it is less than a row a step, some steps hold none. 0.1 where absent."""

    @model_validator(mode="after")
    def _shares_something(self) -> "ReplayConfig":
        if self.share is not None and self.path is None:
            raise ValueError(f"share {self.share} needs rows to replay: set path, or remove share")
        return self


class RegulariseConfig(Section):
    """What keeps the model from overfitting and from forgetting, beside dropout and weight decay."""

    l2_sp: float = Field(default=0.0, ge=0, le=1000)
    """Pull toward the base's weights (Li et al., 2018): this much times half the squared distance is added to the loss; 0 is off."""
    kl: float = Field(default=0.0, ge=0, le=1000)
    """Pull toward the base's predictions: this much times the KL divergence from them at each supervised token is added to the loss; 0 is off."""
    ema: float | None = Field(default=None, gt=0, le=0.999999)
    """Evaluate and keep a running mean of the weights, over about the last 1 / (1 - ema) steps: 0.99 means 100. Null keeps the weights themselves."""
    neftune: float = Field(default=0.0, ge=0, le=100)
    """Noise on the embeddings while training (Jain et al., 2023), usually 5 to 15; above 0 rows are padded instead of sharing prompts; 0 is off."""
    replay: ReplayConfig = ReplayConfig()
    """General rows mixed into the steps."""
    interpolate: bool = False
    """After training, take weights between the base's and the tuned ones (Wortsman et al., 2022), how far chosen on the `select` rows."""


class TrainConfig(Section):
    """How the weights are changed."""

    epochs: float = Field(default=3.0, gt=0, le=10_000)
    """Passes over the training rows."""
    max_steps: int | None = Field(default=None, gt=0, le=10**9)
    """Stop after this many optimiser steps, whatever the epochs."""
    learning_rate: Annotated[float, Field(gt=0, le=1000)] | Literal["find"] | None = None
    """Peak learning rate; `find` tries 80 rates on the training rows first (Smith, 2015); by method, optimiser, size of the model and, of short runs, their steps where absent."""
    schedule: Literal["cosine", "linear", "constant", "wsd", "one_cycle", "plateau"] = "cosine"
    """The learning rate after warm-up. `wsd`: stable, then a fall (Hu et al., 2024); `one_cycle`: up and down (Smith, 2018); `plateau`: lowered when validation stalls."""
    warmup: float | None = Field(default=None, ge=0, lt=1)
    """Share of the steps over which the rate rises, from nothing or from a tenth of the peak in one_cycle; 0.05 where absent, 0.45 in one_cycle."""
    final_share: float = Field(default=0.0, ge=0, le=1)
    """What the rate falls to, as a share of the peak, reached just after the last step so that this one still learns; in plateau, the lowest rate."""
    decay_share: float | None = Field(default=None, gt=0, le=1)
    """Share of the steps over which wsd falls; 0.2 where absent."""
    plateau: PlateauConfig = PlateauConfig()
    """When `schedule: plateau` lowers the rate."""
    batch_rows: int = Field(default=16, gt=0, le=10**6)
    """Rows an optimiser step is averaged over."""
    accumulate: int | None = Field(default=None, gt=0, le=10**6)
    """Divide a step into this many passes: less memory, the same update. Chosen by token budget where absent."""
    token_budget: int = Field(default=1024, gt=0, le=10**7)
    """Most tokens in one pass through the model; a longer single row goes alone."""
    share_prefixes: bool = True
    """Compute prompt tokens that rows of a step have in common once. Same loss, same gradient."""
    weight_by: Literal["token", "row"] = "token"
    """`token`: every supervised token counts the same; `row`: every row counts the same, however long its answer."""
    max_tokens: int | None = Field(default=None, gt=1, le=10**7)
    """Longest row in tokens; the model's context where absent. Longer rows lose the start of their prompt, never their answer, and are counted."""
    truncate_share: float = Field(default=0.05, ge=0, le=1)
    """Refuse to train when more than this share of rows would be truncated."""
    optimizer: Literal["adamw", "adafactor", "sgd", "lion", "muon"] = "adamw"
    """`adafactor` (Shazeer & Stern, 2018) takes the least memory; `lion` (Chen et al., 2023) half of AdamW's; `muon` (Jordan et al., 2024): hidden matrices, AdamW the rest."""
    betas: tuple[float, float] | None = None
    """Decay rates of the two moments: 0.9 and 0.95 in AdamW and in Muon's AdamW where absent, 0.9 and 0.99 in Lion."""
    momentum: float | None = Field(default=None, ge=0, lt=1)
    """Decay rate of the mean gradient: 0.9 in SGD where absent, 0.95 in Muon."""
    nesterov: bool | None = None
    """SGD's step looks ahead along its momentum; false where absent. Muon's always does."""
    master_weights: bool = True
    """Where weights are held in bfloat16, change a float32 copy of them: twice the optimiser's memory, but small updates are not rounded away."""
    weight_decay: float = Field(default=0.01, ge=0, le=100)
    """Pull of matrices toward zero; norms, biases and embeddings are left out."""
    max_grad_norm: float = Field(default=1.0, gt=0, le=1e12)
    """The gradient is scaled down to this norm."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout inside the model where its architecture has one; above 0 rows are padded instead of sharing prompts."""
    precision: Precision | None = None
    """Arithmetic of the forward pass: fp32 on CPU, bf16 on GPU where absent."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: about a third slower, much less memory."""
    evaluations_per_epoch: int = Field(default=2, ge=1, le=100_000)
    """How often the validation loss is measured."""
    checkpoint_minutes: float = Field(default=5.0, ge=0, le=10**6)
    """A checkpoint at least this often; one is also written at every evaluation. 0: after every step."""
    early_stopping: EarlyStoppingConfig = EarlyStoppingConfig()
    """When to stop before the last epoch."""
    regularise: RegulariseConfig = RegulariseConfig()
    """What keeps the model from overfitting and from forgetting, beside dropout and weight decay."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Compile the layers with torch.compile; `auto`: where a run is long and a few measured steps say that it pays. Decided once, before the first step."""
    trunk_cache_mib: float = Field(default=4096.0, ge=0, le=10**9)
    """Where the lowest layers don't change, their output is kept in a file of at most this size instead of being computed in every epoch; 0 never keeps it."""
    track: list[Literal["tensorboard", "mlflow", "wandb"]] = Field(default=[])
    """Tools that are shown the run's numbers while it goes on; each needs its extra: `pip install 'tunesmith[tensorboard]'`."""
    threads: int | None = Field(default=None, gt=0, le=4096)
    """CPU threads; the cores this process may use where absent."""

    @model_validator(mode="after")
    def _no_setting_goes_unread(self) -> "TrainConfig":
        for setting, owners in _OPTIMIZERS_OF.items():
            if getattr(self, setting) is not None and self.optimizer not in owners:
                raise ValueError(
                    f"{setting} belongs to optimizer: {' or '.join(owners)}, not {self.optimizer}; remove it, or change the optimizer"
                )
        if self.decay_share is not None and self.schedule != "wsd":
            raise ValueError(f"decay_share belongs to schedule: wsd, not {self.schedule}; remove it, or change the schedule")
        if self.plateau != PlateauConfig() and self.schedule != "plateau":
            raise ValueError(f"plateau belongs to schedule: plateau, not {self.schedule}; remove it, or change the schedule")
        if self.final_share and self.schedule == "constant":
            raise ValueError(f"final_share {self.final_share} has no place in schedule: constant; remove it, or change the schedule")
        return self

    @model_validator(mode="after")
    def _settings_agree(self) -> "TrainConfig":
        if self.betas is not None and not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas are {self.betas[0]} and {self.betas[1]}; both must be at least 0 and less than 1")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov looks ahead along the momentum, which is 0; raise momentum, or remove nesterov")
        if self.schedule == "one_cycle" and self.warmup == 0:
            raise ValueError("one_cycle rises over its warmup, which is 0; raise it, or remove it for 0.45")
        stops, lowers = self.early_stopping.patience, self.plateau.patience or 1
        if self.schedule == "plateau" and stops is not None and stops <= lowers:
            raise ValueError(
                f"early_stopping.patience {stops} ends the run before plateau.patience {lowers} can lower the rate; "
                "raise the first, or set it to null"
            )
        return self
