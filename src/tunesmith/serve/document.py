"""`/openapi.json`: what the app says of itself, errors and keys included."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

from tunesmith.serve.access import May


class ErrorTold(BaseModel):
    """What an error says."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """Every error, in OpenAI's form."""

    error: ErrorTold


_ERRORS = {
    400: "The request can't be meant.",
    401: "No key, or none that is known.",
    403: "The key may not do this.",
    404: "There is no such thing for this key.",
    413: "The body is too large.",
    429: "Too much for now; Retry-After tells when to come again.",
    499: "The client left.",
    500: "A bug.",
    503: "Not now; Retry-After tells when to come again.",
    504: "It took too long.",
}
ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorBody, "description": told} for status, told in _ERRORS.items()}
"""For `FastAPI(responses=...)`."""


def document(app: FastAPI) -> None:
    """Let `/openapi.json` tell what needs a key, and leave out FastAPI's own 422, which is never sent."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = made()
            schema.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            keyed = {
                (route.path_format, method.lower())
                for route in app.routes
                if isinstance(route, APIRoute) and _needs(route)
                for method in route.methods or ()
            }
            for path, methods in schema["paths"].items():
                for method, operation in methods.items():
                    operation["responses"].pop("422", None)
                    if (path, method) in keyed:
                        operation["security"] = [{"key": []}]
            for name in ("HTTPValidationError", "ValidationError"):
                schema["components"].get("schemas", {}).pop(name, None)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _needs(route: APIRoute) -> bool:
    return any(isinstance(one.call, May) for one in route.dependant.dependencies)
