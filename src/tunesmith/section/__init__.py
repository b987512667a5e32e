"""What every section of a recipe is: frozen, with unknown keys refused and each field documented beneath itself.

What fields are for is read from the source when somebody asks (`descriptions`): reading it at each start would cost a third of the
time in which a typo is answered.
"""

import ast
import inspect
import textwrap
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue


class Section(BaseModel):
    """Base of every config. Construction refuses unknown keys and impossible values; nothing can be changed after."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema with what each field is for."""
        made = handler(core_schema)
        fields = handler.resolve_ref_schema(made).get("properties", {})
        for name, told in descriptions(cls).items():
            written = cls.model_fields[name].alias or name if name in cls.model_fields else name
            if written in fields:
                fields[written].setdefault("description", told)
        return made


@cache
def descriptions(section: type[Section]) -> dict[str, str]:
    """Field -> the text beneath it, of a section and of those it derives from."""
    found: dict[str, str] = {}
    for part in reversed(section.__mro__):
        if part is not Section and issubclass(part, Section):
            found |= _written(part)
    return found


def _written(section: type[Section]) -> dict[str, str]:
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
        if told and isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name):
            found[before.target.id] = inspect.cleandoc(after.value.value)  # type: ignore[attr-defined]
    return found
