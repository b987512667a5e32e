"""What a policy is, as people write it: which rules read the questions, which the answers, and what becomes of what they find."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from tunesmith.data.anonymise.findings import KINDS
from tunesmith.section import Section

BUILTIN = "builtin"
ROUND = "round:"
"""Before the id of a round whose model is meant."""
TOPICS = ("drugs", "gambling", "self-harm", "sexual", "weapons")
"""Word lists that come along."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")

Action = Literal["block", "redact", "mark"]
"""`block`: nothing from there on is said, and a question is refused; `redact`: a tag stands in its place; `mark`: it passes, and the log
names the rule."""


def _off(value: Any) -> Any:
    """`off` means false to readers of old YAML."""
    return "off" if value is False else value


Treatment = Annotated[Literal["block", "redact", "mark", "off"], BeforeValidator(_off)]


class LexiconConfig(Section):
    """Terms that nobody wants to read, also in disguise."""

    path: str = Field(default=BUILTIN, min_length=1)
    """`builtin` (167 English words, hashed), or a file: one term a line, or columns `text` and `severity`."""
    severities: list[str] = Field(default=[])
    """Only terms of these severities, in the lexicon's own words; all where absent."""
    action: Action = "block"
    """What becomes of a term."""


class TopicConfig(Section):
    """A subject, known by its words."""

    name: str
    """Stands in the log; one of the lists that come along where `path` is absent."""
    path: str | None = Field(default=None, min_length=1)
    """A file: one term of up to eight words a line; `re: PATTERN` for a pattern within a line, of bounded length."""
    action: Action = "block"
    """What becomes of a place where it is spoken of."""
    message: str | None = Field(default=None, min_length=1, max_length=2000)
    """Said where it is blocked, instead of the policy's own."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        _check_name(self.name, "a topic")
        if self.path is None and self.name not in TOPICS:
            raise ValueError(f"the topic '{self.name}' has no path, and does not come along: name a file, or one of {', '.join(TOPICS)}")
        return self


class PersonalConfig(Section):
    """Personal data and secrets, found as `data.anonymise` finds them."""

    every: Treatment = "redact"
    """What becomes of each kind that `kinds` does not name."""
    kinds: dict[str, Treatment] = Field(default={})
    """Kind -> `block`, `redact` (a tag as `[EMAIL]` stands there), `mark` or `off`."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        unknown = sorted(set(self.kinds) - set(KINDS))
        if unknown:
            raise ValueError(f"the kind '{unknown[0]}' of personal data is unknown: name one of {', '.join(KINDS)}")
        if not self.treated:
            raise ValueError("every kind of personal data is off: name one that is not, or leave the rule out")
        return self

    @property
    def treated(self) -> dict[str, Action]:
        """What becomes of each kind that is looked for."""
        chosen = {kind: self.kinds.get(kind, self.every) for kind in KINDS}
        return {kind: action for kind, action in chosen.items() if action != "off"}


class InjectionConfig(Section):
    """Words that try to take over the model. Read in questions only, and not in the system message, which whoever asks writes anyway."""

    threshold: float = Field(default=1.0, gt=0, le=10)
    """Sum of the weights of what is found, from which the rule holds; a plain attempt weighs 1."""
    action: Literal["block", "mark"] = "block"
    """What becomes of the question."""


class ClassifierConfig(Section):
    """A classifier made by tunesmith that reads what passes: questions whole, answers passage by passage."""

    model: str = Field(min_length=1)
    """`round:ID` of this workspace, or the folder of a round or of its model."""
    labels: list[str] = Field(min_length=1)
    """Its labels that are unwanted; their probabilities are added."""
    threshold: float = Field(default=0.5, gt=0, lt=1)
    """The probability from which a passage is unwanted."""
    action: Action = "block"
    """What becomes of the passage."""


class AnswersConfig(Section):
    """Rules for what the model says."""

    lexicon: LexiconConfig | None = None
    """Terms of a list."""
    topics: list[TopicConfig] = Field(default=[])
    """Subjects by their words."""
    personal: PersonalConfig | None = None
    """Personal data and secrets."""
    classifier: ClassifierConfig | None = None
    """A model of tunesmith's that reads along."""

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        twice = [name for name, count in Counter(topic.name for topic in self.topics).items() if count > 1]
        if twice:
            raise ValueError(f"the topic '{twice[0]}' stands there twice: name each once")
        return self

    @property
    def empty(self) -> bool:
        """Whether no rule is there."""
        return not any((self.lexicon, self.topics, self.personal, self.classifier))


class QuestionsConfig(AnswersConfig):
    """Rules for what a client sends."""

    injection: InjectionConfig | None = None
    """Attempts to take over the model."""

    @property
    def empty(self) -> bool:
        """Whether no rule is there."""
        return super().empty and self.injection is None


class PolicyConfig(Section):
    """What may pass between a client and a model."""

    name: str
    """What keys and the server call it."""
    message: str = Field(default="This can't be answered here.", min_length=1, max_length=2000)
    """Said where something is blocked: in the error of a question, and in place of an answer of which nothing may be said."""
    redacted: str = Field(default="[removed]", min_length=1, max_length=100)
    """Stands in place of what is redacted; personal data has its kind there: `[EMAIL]`."""
    input: QuestionsConfig = QuestionsConfig()
    """Rules for what a client sends."""
    output: AnswersConfig = AnswersConfig()
    """Rules for what the model says."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        _check_name(self.name, "a policy")
        if self.input.empty and self.output.empty:
            raise ValueError(f"policy '{self.name}' has no rule: give it one under input or output")
        return self

    def with_files(self, change: Callable[[str], str]) -> Self:
        """The policy with the path of each file or folder it names changed."""
        return self.model_copy(update={side: _changed(getattr(self, side), change) for side in ("input", "output")})


class PoliciesConfig(Section):
    """A file of policies."""

    default: str | None = None
    """The policy of keys that name none."""
    policies: list[PolicyConfig] = Field(default=[])
    """Each with its name."""

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        twice = [name for name, count in Counter(policy.name for policy in self.policies).items() if count > 1]
        if twice:
            raise ValueError(f"two policies are called '{twice[0]}': give one another name")
        return self


def child_friendly() -> PolicyConfig:
    """The policy that comes along: for models that children talk to. Names of persons pass, else nobody could ask who Marie Curie was."""
    help_ = (
        "If you feel like hurting yourself, please talk to someone you trust now, or ring a helpline of your country; you are not alone."
    )
    topics = [TopicConfig(name=name, message=help_ if name == "self-harm" else None) for name in TOPICS]
    return PolicyConfig(
        name="child-friendly",
        message="Let's talk about something else.",
        input=QuestionsConfig(
            lexicon=LexiconConfig(), topics=topics, personal=PersonalConfig(kinds={"person": "off"}), injection=InjectionConfig()
        ),
        output=AnswersConfig(lexicon=LexiconConfig(), topics=topics, personal=PersonalConfig(kinds={"person": "off", "birth_date": "off"})),
    )


def _check_name(name: str, what: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(f"'{name[:80]}' is no name for {what}: write up to 64 letters, digits, '-', '_' and '.', a letter or digit first")


def _changed(side: AnswersConfig, change: Callable[[str], str]) -> AnswersConfig:
    update: dict[str, Any] = {}
    if side.lexicon is not None and side.lexicon.path != BUILTIN:
        update["lexicon"] = side.lexicon.model_copy(update={"path": change(side.lexicon.path)})
    update["topics"] = [one if one.path is None else one.model_copy(update={"path": change(one.path)}) for one in side.topics]
    if side.classifier is not None and not side.classifier.model.startswith(ROUND):
        update["classifier"] = side.classifier.model_copy(update={"model": change(side.classifier.model)})
    return side.model_copy(update=update)
