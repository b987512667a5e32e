"""tunesmith: from a file of examples and a pretrained language model to a fine-tuned model that has earned its place.

    import tunesmith

    done = tunesmith.run(tunesmith.Recipe(data={"path": "tickets.jsonl"}))
    print(done.sentence, done.card)

Names are looked up when they are first used: importing this package loads nothing heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.core.errors import BusyError, DataError, DivergedError, GateError, MachineError, RecipeError, TunesmithError
    from tunesmith.feedback.next_config import NextConfig
    from tunesmith.pipeline.api import Round, check, prepare, run, show, synthesise
    from tunesmith.pipeline.next_round import NextOutcome, next_round
    from tunesmith.pipeline.promotion import champions, promote, rollback
    from tunesmith.recipe.model import Recipe
    from tunesmith.recipe.yaml import load_recipe

__version__ = "0.1.0"

__all__ = [
    "BusyError",
    "DataError",
    "DivergedError",
    "GateError",
    "MachineError",
    "NextConfig",
    "NextOutcome",
    "Recipe",
    "RecipeError",
    "Round",
    "TunesmithError",
    "__version__",
    "champions",
    "check",
    "load_recipe",
    "next_round",
    "prepare",
    "promote",
    "rollback",
    "run",
    "show",
    "synthesise",
]

_ERRORS = "tunesmith.core.errors"
_API = "tunesmith.pipeline.api"
_PROMOTION = "tunesmith.pipeline.promotion"
_NEXT = "tunesmith.pipeline.next_round"
_HOMES = {
    "BusyError": _ERRORS,
    "DataError": _ERRORS,
    "DivergedError": _ERRORS,
    "GateError": _ERRORS,
    "MachineError": _ERRORS,
    "RecipeError": _ERRORS,
    "TunesmithError": _ERRORS,
    "Recipe": "tunesmith.recipe.model",
    "load_recipe": "tunesmith.recipe.yaml",
    "NextConfig": "tunesmith.feedback.next_config",
    "NextOutcome": _NEXT,
    "next_round": _NEXT,
    "champions": _PROMOTION,
    "promote": _PROMOTION,
    "rollback": _PROMOTION,
    "Round": _API,
    "check": _API,
    "prepare": _API,
    "run": _API,
    "show": _API,
    "synthesise": _API,
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tunesmith' has no attribute '{name}'")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
