"""The options of `serve`. Where a name is a setting's of `ServeConfig`, with - for _, its value is that setting's."""

from typing import Annotated

import typer

Champion = Annotated[bool, typer.Option("--champion", help="Serve who is in service, and follow promotions and rollbacks.")]
Line = Annotated[str, typer.Option(help="Line of service; also the name it is served under.")]
Host = Annotated[str, typer.Option(help="Address to listen at; any but this machine's own needs a key.")]
Port = Annotated[int, typer.Option(help="0 takes a free one.")]
TlsCertificate = Annotated[str | None, typer.Option(help="PEM file of a certificate: the gateway then speaks HTTPS.")]
TlsKey = Annotated[str | None, typer.Option(help="PEM file of its private key.")]
Origin = Annotated[list[str] | None, typer.Option(help="Web pages of this origin may call; repeatable.")]
Policies = Annotated[str | None, typer.Option(help="YAML file of policies: what may pass, as docs/guide/serving.md tells.")]
Policy = Annotated[str | None, typer.Option(help="Policy of keys that name none, as child-friendly, which comes along.")]
LogFile = Annotated[
    str | None, typer.Option(help="File of a JSON line a request; - is stderr. requests.jsonl of the workspace where absent.")
]
MostRows = Annotated[int, typer.Option(help="Answers made at the same time.")]
MostWaiting = Annotated[int, typer.Option(help="Requests that may wait; the next gets 429.")]
TimeoutSeconds = Annotated[float, typer.Option(help="A request that takes longer is given up.")]
ReceiveSeconds = Annotated[float, typer.Option(help="A request has to be there after so long.")]
MostConnections = Annotated[int, typer.Option(help="Connections at the same time; the next gets 503.")]
KeepRequests = Annotated[float, typer.Option(help="Share of requests kept with their texts, personal data redacted.")]
KeepDays = Annotated[float, typer.Option(help="These are deleted after so many days.")]
FeedbackDays = Annotated[float, typer.Option(help="Answers take feedback for so many days.")]
FeedbackPerMinute = Annotated[int, typer.Option(help="Most feedback a minute from one key.")]
MostLoaded = Annotated[int, typer.Option(help="Models kept loaded behind --champion, the former one among them.")]
Worker = Annotated[bool, typer.Option("--worker", help="Keep a worker for fine-tuning jobs running beside the server.")]
Bases = Annotated[
    list[str] | None, typer.Option("--bases", help="What jobs may start from: embedded, NAME=FOLDER; repeatable. embedded where absent.")
]
FileMib = Annotated[int, typer.Option(help="Largest file taken to train on.")]
MostFiles = Annotated[int, typer.Option(help="Files to train on that a tenant may have.")]
TenantMib = Annotated[int, typer.Option(help="Most that these may take together.")]
MostJobs = Annotated[int, typer.Option(help="Fine-tuning jobs of a tenant that may wait; the next gets 429.")]
ShelfModels = Annotated[int, typer.Option(help="Models made by jobs that are kept loaded.")]
Engine = Annotated[str | None, typer.Option(help="URL of an OpenAI-compatible engine that answers, as http://127.0.0.1:8001/v1.")]
EngineKeyEnv = Annotated[str | None, typer.Option(help="Environment variable that holds the engine's key.")]
EngineModel = Annotated[str | None, typer.Option(help="The engine's name for the model; its only one where absent.")]
EngineFirstSeconds = Annotated[float, typer.Option(help="An engine that says nothing for so long is given up.")]
MetricsPort = Annotated[int | None, typer.Option(help="Prometheus reads /metrics at this port of 127.0.0.1, without a key.")]
DriftEvery = Annotated[float, typer.Option(help="Hours between two looks for drift; 0: none.")]
AlertUrl = Annotated[str | None, typer.Option(help="Webhook told of drift, errors, slow answers, a full queue, a lost ledger.")]
AlertSecretEnv = Annotated[str | None, typer.Option(help="Environment variable with the secret sent along.")]
AlertErrors = Annotated[float, typer.Option(help="Share of failed requests that is worth an alert.")]
AlertP95Seconds = Annotated[float, typer.Option(help="Time of the slowest twentieth that is.")]
