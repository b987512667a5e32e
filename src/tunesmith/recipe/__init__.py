"""The typed recipe: one frozen object that describes a whole round, its YAML form, its schema, and the first one a person gets."""

from tunesmith.recipe.agreement import check_agreement, head_of, objective_of
from tunesmith.recipe.init import demo_recipe, starter_recipe
from tunesmith.recipe.model import Recipe, resolved
from tunesmith.recipe.schema import recipe_schema
from tunesmith.recipe.yaml import dump_recipe, load_recipe, parse_recipe

__all__ = [
    "Recipe",
    "check_agreement",
    "demo_recipe",
    "dump_recipe",
    "head_of",
    "load_recipe",
    "objective_of",
    "parse_recipe",
    "recipe_schema",
    "resolved",
    "starter_recipe",
]
