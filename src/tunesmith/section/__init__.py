"""What every section of a recipe is: frozen, with unknown keys refused and each field documented beneath itself."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every config. Construction refuses unknown keys and impossible values; nothing can be changed after."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
