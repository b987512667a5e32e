"""presidio's stock analyser over a blank spaCy pipeline, as a process that answers lines of JSON.

The default engine would download a model; `load` is overridden so that nothing is fetched, and the list of public suffixes that the
e-mail recogniser wants is the one that comes with tldextract. All of its stock English recognisers are asked, with its defaults.

    {"do": "version"}                 -> {"version": ...}
    {"do": "analyse", "texts": [...]} -> {"seconds": ..., "busy": ..., "spans": [[[start, end, type], ...], ...]}
"""

import json
import sys
import time
from importlib.metadata import version
from typing import Any

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import SpacyNlpEngine

tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


class Blank(SpacyNlpEngine):
    """English words and nothing learned."""

    def load(self) -> None:
        self.nlp = {"en": spacy.blank("en")}


def main() -> None:
    engine = Blank(models=[{"lang_code": "en", "model_name": "blank"}])
    engine.load()
    analyser = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    analyser.analyze("My card is 4111 1111 1111 1111.", language="en")
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(_answer(analyser, asked)), flush=True)


def _answer(analyser: AnalyzerEngine, asked: dict[str, Any]) -> dict[str, Any]:
    if asked["do"] == "version":
        return {"version": version("presidio-analyzer")}
    began, busy = time.perf_counter(), time.process_time()
    found = [analyser.analyze(text, language="en") for text in asked["texts"]]
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    return {"seconds": seconds, "busy": busy, "spans": [[[span.start, span.end, span.entity_type] for span in spans] for spans in found]}


if __name__ == "__main__":
    main()
