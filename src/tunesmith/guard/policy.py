"""A policy made ready: its rules with what they need, and whole texts read by them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tunesmith.data.lexicon import read_lexicon
from tunesmith.guard.config import BUILTIN, AnswersConfig, ClassifierConfig, PolicyConfig, QuestionsConfig
from tunesmith.guard.finding import Finding, Rule
from tunesmith.guard.rules.classifier import ClassifierRule, Scorer
from tunesmith.guard.rules.injection import InjectionRule
from tunesmith.guard.rules.lexicon import LexiconRule
from tunesmith.guard.rules.personal import PersonalRule
from tunesmith.guard.rules.topics import topic_rules
from tunesmith.guard.stream import Filter


@dataclass(frozen=True, slots=True)
class Read:
    """A text after it was read."""

    text: str
    """What may pass of it."""
    blocked: str | None
    """The rule that blocked it."""
    message: str | None
    """What that rule says, where it says something of its own."""
    counts: Counter[str]
    """Findings by rule, what blocks included."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What may pass, ready to read."""

    name: str
    message: str
    questions: tuple[Rule, ...]
    """For all that a client sends but attempts to take over."""
    attempts: tuple[Rule, ...]
    """For what is no system message."""
    answers: tuple[Rule, ...]
    slow: bool
    """Whether reading takes so long that other work should go on meanwhile."""

    def read(self, text: str, *, attempts: bool = True) -> Read:
        """A text from a client. Costs some milliseconds a thousand characters."""
        made = Filter((*self.questions, *(self.attempts if attempts else ())))
        passed = made.rest(text)
        return Read(passed, made.blocked, made.message, made.counts)

    def answer(self) -> Filter:
        """A filter for one answer, to be fed as it comes."""
        return Filter(self.answers)


def policy_of(config: PolicyConfig, builtin_lexicon: str, scorer: Callable[[ClassifierConfig], Scorer]) -> Policy:
    """Make a policy ready.

    Args:
        config: as written, its paths whole.
        builtin_lexicon: file of the lexicon that comes along.
        scorer: loads a classifier.

    Raises:
        TunesmithError: a file or a model that can't serve.
    """

    def rules(side: AnswersConfig) -> tuple[Rule, ...]:
        found: list[Rule] = []
        if side.lexicon is not None:
            path = builtin_lexicon if side.lexicon.path == BUILTIN else side.lexicon.path
            like = Finding(0, 0, "lexicon", side.lexicon.action, config.redacted)
            found.append(LexiconRule(read_lexicon(path, side.lexicon.severities), like))
        found += topic_rules(side.topics, config.redacted)
        if side.personal is not None:
            found.append(PersonalRule(side.personal.treated))
        if side.classifier is not None:
            one = side.classifier
            found.append(ClassifierRule(scorer(one), one.threshold, one.action, config.redacted))
        return tuple(found)

    slow = config.input.classifier is not None or config.output.classifier is not None
    return Policy(config.name, config.message, rules(config.input), _attempts(config.input), rules(config.output), slow)


def _attempts(side: QuestionsConfig) -> tuple[Rule, ...]:
    return () if side.injection is None else (InjectionRule(side.injection.threshold, side.injection.action),)
