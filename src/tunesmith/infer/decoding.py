"""How a model's answers are made, as a value that goes with the model: what is served is what was evaluated.

Temperature, cuts and seed (sampling.py), strings that stop (stops.py), what answers keep to (constraints.py). As it stands, the
likeliest token is taken until the answer ends. Making it ready for a model costs a look at every token of the vocabulary,
and only where answers keep to something.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from torch import nn

from tunesmith.core.errors import RecipeError
from tunesmith.infer.constraints import Constraint, json_schema, matching, one_of
from tunesmith.infer.generate import Wanted
from tunesmith.infer.rules import Vocabulary
from tunesmith.infer.sampling import Sampling
from tunesmith.models.forward import inner

Kind = Literal["json_schema", "regex", "choices"]
_MADE_BY: dict[Kind, Any] = {"json_schema": json_schema, "regex": matching, "choices": one_of}

_HELD_AS: dict[Kind, Any] = {"json_schema": Mapping, "regex": str, "choices": list}
_NUMBERS = ("temperature", "top_p", "top_k", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How answers are made. RecipeError for numbers that can't be meant, as `Sampling` has it."""

    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    """Strings that end an answer and are no part of it."""
    kind: Kind | None = None
    """What sort of thing every answer keeps to; None: answers are free."""
    keeps_to: Any = None
    """A JSON schema as a mapping, a regular expression, or a list of texts."""

    @property
    def plain(self) -> bool:
        """Whether nothing is asked: greedy, unstopped, free."""
        return self.sampling.greedy and not self.stop and self.kind is None

    def constraint(self) -> Constraint | None:
        """What answers keep to. RecipeError where it can't be kept to."""
        if self.kind is None:
            return None
        if not isinstance(self.keeps_to, _HELD_AS[self.kind]) or (
            self.kind == "choices" and not all(isinstance(one, str) for one in self.keeps_to)
        ):
            raise RecipeError(f"What answers keep to is no {self.kind}: give a schema as a mapping, a pattern as text, or a list of texts.")
        found: Constraint = _MADE_BY[self.kind](self.keeps_to)
        return found

    def wanted(self, model: nn.Module, tokenizer: Any, *, end_ids: tuple[int, ...], max_new_tokens: int) -> Wanted:
        """The same for one model.

        Args:
            model: a causal language model; nothing but its width of vocabulary is looked at.
            tokenizer: its Hugging Face fast tokenizer.
            end_ids: ids that end an answer.
            max_new_tokens: most ids of an answer.

        Raises:
            RecipeError: a constraint that can't be kept to, or not in so few tokens; an empty stop; a stop beside a constraint.
        """
        constraint = self.constraint()
        rule = None if constraint is None else Vocabulary(tokenizer, outputs=_outputs(model), end_ids=end_ids).rule(constraint)
        return Wanted(
            end_ids=end_ids,
            max_new_tokens=max_new_tokens,
            sampling=self.sampling,
            stops=self.stop,
            rule=rule,
            tokenizer=tokenizer if self.stop else None,
        )

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        sampling = self.sampling
        return {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "seed": sampling.seed,
            "stop": list(self.stop),
            "kind": self.kind,
            "keeps_to": self.keeps_to,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The reverse of `to_json`; RecipeError for what can't be meant, a constraint is looked at when it is first used."""
        fields: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        numbers = [fields.get(name) for name in _NUMBERS]
        stop, kind = fields.get("stop"), fields.get("kind")
        sound = all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers)
        sound = sound and all(isinstance(one, int) for one in numbers[2:])
        sound = sound and isinstance(stop, list) and all(isinstance(one, str) and one for one in stop)
        if not sound or kind not in (None, *_MADE_BY):
            raise RecipeError("The way to answer that is stored with the model can't be meant: make the model again.")
        sampling = Sampling(**{name: fields[name] for name in _NUMBERS})
        return cls(sampling=sampling, stop=tuple(stop or ()), kind=kind, keeps_to=fields.get("keeps_to"))


def _outputs(model: nn.Module) -> int:
    """Logits that a model gives, which may be more than its tokenizer has tokens."""
    return int(inner(model).config.get_text_config().vocab_size)
