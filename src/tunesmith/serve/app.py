"""The HTTP side of the gateway, as a FastAPI app: what its routes share, how errors look, how large a body may be."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from tunesmith.core.errors import MachineError
from tunesmith.ledger.feedback import Opinions
from tunesmith.ledger.keys import KeyRecord, Scope
from tunesmith.serve.access import Denials, KeyFirst, May
from tunesmith.serve.answer_routes import answer_routes
from tunesmith.serve.answers import Backend
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.document import ERRORS, document
from tunesmith.serve.feedback_routes import feedback_routes
from tunesmith.serve.files_routes import files_routes
from tunesmith.serve.filters import Policies
from tunesmith.serve.holders import Holders
from tunesmith.serve.jobs_routes import jobs_routes
from tunesmith.serve.kept import Kept
from tunesmith.serve.log import Line, Logged, RequestLog
from tunesmith.serve.refusals import Refusal, ledger_unavailable, no_such_model
from tunesmith.serve.requests import refused
from tunesmith.serve.service import Arm, Service, content_of
from tunesmith.serve.tuning import Tuning
from tunesmith.serve.watching import Watching

T = TypeVar("T")
UPLOAD = "/v1/files"
FORM = 65_536
"""Bytes that the form around a file may take."""


class Gateway:
    """What the routes need: the models by name, who may ask, what may pass, and where requests are told of."""

    def __init__(
        self,
        backends: dict[str, Backend],
        holders: Holders,
        config: ServeConfig,
        *,
        kept: Kept | None = None,
        opinions: Opinions | None = None,
        policies: Policies | None = None,
        log: RequestLog | None = None,
        denials: Denials | None = None,
        guarded: bool = False,
        tuning: Tuning | None = None,
        watching: Watching | None = None,
    ) -> None:
        self.denials, self.guarded = denials or Denials(), guarded
        """Guarded: where no key is needed, web pages are kept out (`refuse_pages`)."""
        self.backends, self.holders, self.config = backends, holders, config
        self.kept, self.opinions = kept or Kept(None, config), opinions
        self.policies, self.log = policies or Policies(), log
        self.tuning = tuning
        self.watching = watching
        self.draining = False

    async def backend(self, name: str, key: KeyRecord) -> Backend:
        """The model of a name: one that all may ask, or one of the key's tenant. Refusal (404) where it is not served to it."""
        found = self.backends.get(name)
        if found is None and self.tuning is not None:
            found = await self.tuning.shelf.backend(name, key.tenant)
        if found is None:
            raise no_such_model(name, ", ".join(sorted(self.backends)))
        return found

    async def answering(self, name: str, asker: str | None, key: KeyRecord) -> Backend:
        """The model that answers one request under a name: in a line of service, whoever serves at this moment. Refusal as `backend`."""
        found = await self.backend(name, key)
        return found.arm(asker) if isinstance(found, Service | Arm) else found

    def note(self, line: Line, backend: Backend) -> None:
        """Tell the log and the figures which model answers a request."""
        line.model, line.content = backend.name, content_of(backend) or self.kept.content(backend.name)

    def may(self, scope: Scope) -> Callable[[Request], Awaitable[KeyRecord]]:
        """A dependency: the key of a request, if it may."""
        return May(self, scope)


def make_app(gateway: Gateway) -> FastAPI:
    """The app over a gateway."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        gateway.draining = True
        for backend in gateway.backends.values():
            await asyncio.to_thread(backend.close, drain=False)
        if gateway.tuning is not None:
            await gateway.tuning.shelf.close()
        await asyncio.to_thread(gateway.kept.close)

    app = FastAPI(
        title="tunesmith gateway", version=version("tunesmith"), lifespan=lifespan, docs_url=None, redoc_url=None,
        responses=ERRORS, redirect_slashes=False,
    )  # fmt: skip
    app.router.route_class = KeyFirst
    document(app)
    _tell_errors(app)
    app.add_middleware(_Bounded, most=gateway.config.body_kib * 1024, most_upload=gateway.config.file_mib * 2**20 + FORM)
    if gateway.config.origins:
        from starlette.middleware.cors import CORSMiddleware

        app.add_middleware(
            CORSMiddleware, allow_origins=gateway.config.origins, allow_methods=["GET", "POST", "DELETE"], allow_headers=["*"]
        )
    app.add_middleware(Logged, log=gateway.log, told=None if gateway.watching is None else gateway.watching.request)
    _health(app, gateway)
    _metrics(app, gateway)
    _models(app, gateway)
    answer_routes(app, gateway)
    if gateway.opinions is not None:
        feedback_routes(app, gateway, gateway.opinions)
    if gateway.tuning is not None:
        files_routes(app, gateway, gateway.tuning)
        jobs_routes(app, gateway, gateway.tuning)
    return app


def _tell_errors(app: FastAPI) -> None:
    """Every error in OpenAI's form."""

    async def refusal(_: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return JSONResponse(error.body(), error.status, headers=error.headers)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        told = refused(list(error.errors()))
        return JSONResponse(told.body(), told.status)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error, _TooLarge):
            return JSONResponse(error.refusal.body(), error.status_code)
        method, path = request.method[:20], request.scope["path"][:100]  # request.url is made of headers, and may not be readable
        said = {404: (f"There is no {method} {path} here.", "unknown_url"), 405: (f"{method} is not served at this path.", "unknown_url")}
        told = Refusal(error.status_code, *said.get(error.status_code, ("The request can't be read.", "invalid_request")))
        headers = {"Allow": _allowed(app, request)} if error.status_code == 405 else error.headers
        return JSONResponse(told.body(), error.status_code, headers=headers)

    async def out_of_reach(_: Request, error: Exception) -> Response:
        told = ledger_unavailable()
        return JSONResponse(told.body(), told.status, headers=told.headers)

    async def bug(_: Request, error: Exception) -> Response:
        return JSONResponse(Refusal(500, "Something went wrong in the server; the request is in its log.", "internal_error").body(), 500)

    known = ((Refusal, refusal), (RequestValidationError, invalid), (HTTPException, http), (MachineError, out_of_reach), (Exception, bug))
    for kind, handler in known:
        app.add_exception_handler(kind, handler)


def _allowed(app: FastAPI, request: Request) -> str:
    """The methods that a path is served with, of all routes."""
    fitting = [route for route in app.routes if isinstance(route, Route) and route.matches(request.scope)[0] != Match.NONE]
    return ", ".join(sorted({method for route in fitting for method in route.methods or ()}))


class _TooLarge(HTTPException):
    """A body that grew too large while it was read; FastAPI lets this kind alone pass as it is."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.status, refusal.message)
        self.refusal = refusal


class _Bounded:
    """Refuses bodies that are too large, told or not told beforehand; files have a bound of their own. Holds no more than one message."""

    def __init__(self, app: Any, most: int, most_upload: int) -> None:
        self.app, self.bounds = app, {UPLOAD: most_upload}
        self.most = most

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        told = dict(scope["headers"]).get(b"content-length", b"0")
        most = self.bounds.get(scope["path"], self.most)
        too_large = Refusal(413, f"The body is larger than {most // 1024:,} KiB: send less.", "body_too_large")
        if not told.isdigit() or len(told) > 18 or int(told) > most:
            await JSONResponse(too_large.body(), 413)(scope, receive, send)
            return
        read = 0

        async def counted() -> Any:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise _TooLarge(too_large)
            return message

        await self.app(scope, counted, send)


def _health(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/health")
    async def health() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @app.get("/ready")
    async def ready() -> Response:
        """It takes requests."""
        fine = not gateway.draining and all(backend.ready() for backend in gateway.backends.values())
        lines = {one.line: one.health() for one in gateway.backends.values() if isinstance(one, Service)}
        told = {"status": "ready" if fine else "not ready"} | ({"service": lines} if lines else {})
        return JSONResponse(told, 200 if fine else 503)


def _metrics(app: FastAPI, gateway: Gateway) -> None:
    metrics = None if gateway.watching is None else gateway.watching.metrics
    if metrics is None:
        return

    @app.get("/metrics")
    async def told(_: Annotated[KeyRecord, Depends(gateway.may("admin"))]) -> Response:
        """For Prometheus."""
        return Response(await asyncio.to_thread(metrics.text), media_type="text/plain; version=0.0.4; charset=utf-8")


def _models(app: FastAPI, gateway: Gateway) -> None:
    def shown(backend: Backend, key: KeyRecord) -> dict[str, Any]:
        facts = backend.facts
        if isinstance(backend, Service) and key.may("admin"):  # who is tried beside whom concerns nobody else
            facts = facts | {"service": backend.state()}
        return {"id": backend.name, "object": "model", "created": backend.created, "owned_by": "tunesmith", "tunesmith": facts}

    @app.get("/v1/models")
    async def models(key: Annotated[KeyRecord, Depends(gateway.may("chat"))]) -> dict[str, Any]:
        own: Sequence[Backend] = []
        with suppress(Refusal):  # what is served is known without the ledger
            own = own if gateway.tuning is None else await gateway.tuning.shelf.models(key.tenant)
        return {"object": "list", "data": [shown(backend, key) for backend in (*gateway.backends.values(), *own)]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str, key: Annotated[KeyRecord, Depends(gateway.may("chat"))]) -> dict[str, Any]:
        return shown(await gateway.backend(name, key), key)
