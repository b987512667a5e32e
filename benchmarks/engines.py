"""A real engine behind the gateway: what a client of the official `openai` package gets through it, and what it is told where it gets none.

A small model, the embedded base in a bundle with an instruction, answers in `transformers serve` (its own environment under .bench, made where it is missing). In
front stand two gateways: one passes the engine through as it is, the other brings the model's bundle. Every check is a fact that holds or
does not; what the engine itself can't do must be told in a sentence, and never be a stack trace, a hang or silence. Then the engine is
killed and started again. Some three minutes on two cores.

    .venv/bin/python benchmarks/engines.py --json > benchmarks/results/DATE-engines.json

Exit code 1 where a check does not hold.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai
from gathered import log, measured_at
from serve_cases.servers import Server, free_port, serving, tunesmith
from training.peers import environment

INSTRUCTION = "Reply to the customer."
ASKED = 16
"""Prompts whose answers are compared with those of the evaluation's own code."""
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


@dataclass
class Checks:
    """What held and what did not."""

    made: list[dict[str, Any]] = field(default_factory=list)

    def run(self, name: str, check: Callable[[], Any]) -> None:
        """One more; whatever it raises is a check that did not hold."""
        try:
            said, held = str(check() or "as it should be"), True
        except Exception as error:
            said, held = f"{type(error).__name__}: {error}"[:400], False
        self.made.append({"check": name, "holds": held, "said": said})
        log(f"  {'holds' if held else 'DOES NOT HOLD'}: {name}: {said}")


@dataclass(frozen=True, slots=True)
class Asker:
    """A gateway as a client sees it."""

    server: Server
    name: str
    client: openai.OpenAI

    def chat(self, text: str, **more: Any) -> Any:
        """One answer, or a stream of it."""
        asked = {"model": self.name, "messages": [{"role": "user", "content": text}], "max_tokens": 24, "temperature": 0}
        return self.client.chat.completions.create(**(asked | more))

    def said(self, text: str, **more: Any) -> str:
        """The words of a whole answer."""
        return str(self.chat(text, **more).choices[0].message.content)

    def streamed(self, text: str, **more: Any) -> str:
        """The words of a streamed answer."""
        pieces = self.chat(text, stream=True, **more)
        return "".join(one.choices[0].delta.content or "" for one in pieces if one.choices)

    def refused(self, status: int, words: str, ask: Callable[[], Any]) -> str:
        """What the client is told. AssertionError where it is another status, other words, or no refusal."""
        try:
            made = ask()
        except openai.APIStatusError as error:
            body = error.body if isinstance(error.body, dict) else {}
            told = str(body.get("message", error.message))
            assert error.status_code == status and words in told, f"{error.status_code}: {told}"
            return f"{status}: {told}"
        raise AssertionError(f"answered: {made}"[:300])


def prompts() -> list[str]:
    """Messages of the sample."""
    from tunesmith.embedded import sample_path

    texts: list[str] = []
    for line in sample_path().read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):
            told = json.loads(line).get("message")
            texts += [told.strip()] if isinstance(told, str) and told.strip() else []
    return texts[:ASKED]


def bundled(folder: Path) -> Path:
    """The embedded base in a bundle: an instruction before every prompt, greedy answers of 24 tokens at most; its folder."""
    from tunesmith.embedded import base_path
    from tunesmith.models.config import BaseConfig
    from tunesmith.models.load import load_base
    from tunesmith.models.package import Bundle, save_model

    config = BaseConfig(path=str(base_path()))
    base = load_base(config)
    bundle = Bundle(
        task="generate", method="full", max_tokens=512, max_new_tokens=24, instruction=INSTRUCTION, base=config.model_dump(mode="json")
    )
    model = folder / "replies"
    model.mkdir()
    save_model(model, base.model, base.tokenizer, bundle)
    return model


def offline(model: Path, texts: Sequence[str]) -> dict[str, str]:
    """Answers as the evaluation writes them."""
    from tunesmith.core.rows import Row
    from tunesmith.evaluate.ready import load_ready

    ready = load_ready(model)
    asked = [Row(id=text, prompt=ready.prompt(text)) for text in texts]
    return {one.row_id: one.answer for one in ready.answer(asked)}


@contextmanager
def engine(model: Path, port: int) -> Iterator[Server]:
    """`transformers serve` with the model loaded."""
    python = environment("transformers-serve")
    command = [str(python), str(python.parent / "transformers"), "serve", str(model), "--host", "127.0.0.1", "--device", "cpu"]
    with serving("transformers serve", [*command, "--port", str(port)], port, str(model), PYTHONPATH="") as running:
        yield running


def asker(server: Server) -> Asker:
    """The client of a gateway that serves one model."""
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none-needed", max_retries=0, timeout=120)
    (one,) = client.models.list()
    return Asker(server, one.id, client)


def same(found: object, wanted: object) -> str:
    """AssertionError where they differ."""
    assert found == wanted, f"{found!r} in place of {wanted!r}"
    return repr(found)[:120]


def of_both(checks: Checks, who: str, one: Asker, text: str) -> None:
    """What holds however the engine is asked."""
    whole = one.said(text)
    checks.run(f"{who}: a stream says what a whole answer says", lambda: same(one.streamed(text), whole))
    prose = {"model": one.name, "prompt": "The parcel", "max_tokens": 12, "temperature": 0}
    checks.run(
        f"{who}: completions, whole and streamed",
        lambda: same(
            "".join(part.choices[0].text for part in one.client.completions.create(**prose, stream=True) if part.choices),
            one.client.completions.create(**prose).choices[0].text,
        ),
    )
    stop = whole.split()[3]
    cut = whole[: whole.index(stop)]
    checks.run(f"{who}: a stop is cut, whole", lambda: same(one.said(text, stop=[stop]).strip(), cut.strip()))
    checks.run(f"{who}: a stop is cut, streamed", lambda: same(one.streamed(text, stop=[stop]).strip(), cut.strip()))
    drawn = {"temperature": 0.9, "seed": 11}
    checks.run(f"{who}: a seed gives one answer", lambda: same(one.said(text, **drawn), one.said(text, **drawn)))
    checks.run(f"{who}: tokens are counted", lambda: _counted(one.chat(text).usage))
    checks.run(f"{who}: n", lambda: one.refused(400, "1 of 2 answers", lambda: one.chat(text, n=2)))
    checks.run(f"{who}: logprobs", lambda: one.refused(400, "no log-probabilities", lambda: one.chat(text, logprobs=True)))
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
    checks.run(f"{who}: a JSON schema", lambda: one.refused(502, "was asked for JSON", lambda: one.chat(text, response_format=form)))
    checks.run(f"{who}: another model", lambda: one.refused(404, "", lambda: one.chat(text, model="another")))
    checks.run(
        f"{who}: embeddings",
        lambda: one.refused(502, "has no /embeddings", lambda: one.client.embeddings.create(model=one.name, input="x")),
    )
    checks.run(f"{who}: leaving a stream leaves the engine free", lambda: _left(one, text, whole))


def _counted(usage: Any) -> str:
    assert usage.prompt_tokens > 5 and 0 < usage.completion_tokens <= 24, usage
    return f"{usage.prompt_tokens} read, {usage.completion_tokens} written"


def _left(one: Asker, text: str, whole: str) -> str:
    stream = one.chat(text, stream=True, max_tokens=400)
    next(iter(stream))
    stream.close()
    return same(one.said(text), whole)


def of_the_bundle(checks: Checks, one: Asker, wanted: dict[str, str]) -> None:
    """What holds where the bundle stands before the engine: answers are the evaluation's."""
    plain = {"max_tokens": openai.NOT_GIVEN, "temperature": openai.NOT_GIVEN}
    found = {text: one.said(text, **plain) for text in wanted}
    alike = sum(found[text] == answer for text, answer in wanted.items())
    checks.run(f"bundle: {len(wanted)} answers are the evaluation's", lambda: same(alike, len(wanted)))
    checks.run("bundle: a prompt that is too long", lambda: one.refused(400, "shorten", lambda: one.chat("word " * 6000)))


def of_a_dead_engine(checks: Checks, askers: dict[str, Asker], text: str) -> None:
    """Told while nobody is there."""
    for who, one in askers.items():
        checks.run(f"{who}: a dead engine", lambda one=one: one.refused(503, "can't be reached", lambda: one.chat(text)))  # type: ignore[misc]
        checks.run(
            f"{who}: a dead engine, streamed",
            lambda one=one: one.refused(503, "can't be reached", lambda: one.chat(text, stream=True)),  # type: ignore[misc]
        )
        checks.run(f"{who}: not ready", lambda one=one: same(httpx.get(f"{one.server.url}/ready", timeout=30).status_code, 503))  # type: ignore[misc]


def main() -> int:
    """Check, and print; 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    args = parser.parse_args()
    checks, texts = Checks(), prompts()
    text = texts[0]
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        model = bundled(folder)
        wanted = offline(model, texts)
        port = free_port()
        at = ["--engine", f"http://127.0.0.1:{port}/v1", "--engine-model", str(model)]
        with engine(model, port) as running:
            gateways = {
                "as it is": stack.enter_context(tunesmith(at, folder / "plain", "as it is")),
                "bundle": stack.enter_context(tunesmith([str(model), *at], folder / "bundle", "bundle")),
            }
            askers = {who: asker(server) for who, server in gateways.items()}
            before = {who: one.said(text) for who, one in askers.items()}
            for who, one in askers.items():
                of_both(checks, who, one, text)
            of_the_bundle(checks, askers["bundle"], wanted)
            running.process.send_signal(signal.SIGKILL)
            running.process.wait(timeout=30)
            of_a_dead_engine(checks, askers, text)
        with engine(model, port):
            for who, one in askers.items():
                checks.run(f"{who}: an engine that came back", lambda one=one, who=who: same(one.said(text), before[who]))  # type: ignore[misc]
        words = text.split(maxsplit=1)[0] if len(text) < 20 else text[:20]
        for who in gateways:
            lines = (folder / ("plain" if who == "as it is" else "bundle") / "requests.jsonl").read_text(encoding="utf-8")
            checks.run(f"{who}: no word of a text in the log", lambda lines=lines: same(words in lines, False))  # type: ignore[misc]
    for made in checks.made:
        made["said"] = made["said"].replace(scratch, "FOLDER")
    failed = [one["check"] for one in checks.made if not one["holds"]]
    told = measured_at() | {"engine": "transformers serve 5.23.0", "checks": checks.made, "held": len(checks.made) - len(failed)}
    print(json.dumps(told | {"of": len(checks.made)}) if args.json else f"{told['held']} of {len(checks.made)} hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
