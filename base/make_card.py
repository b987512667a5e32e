"""Write the embedded base's model card from what was measured: the corpus, the pretraining run, the dated benchmark.

python base/make_card.py --run base/work/run --corpus base/work/corpus --benchmark benchmarks/results/DATE-base.json
"""

import argparse
import json
import math
from pathlib import Path

ROOT = Path(__file__).parent.parent
OUT = ROOT / "src" / "tunesmith" / "embedded" / "base"

CARD = """---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# The embedded base of tunesmith

A small English language model, so that tunesmith runs, and can be tested, where no model hub can be reached. It knows
everyday words and the shape of a conversation, little else. Use a larger base for real work.

| | |
|---|---|
| architecture | Llama, {layers} layers, width {width}, {heads} heads ({kv} for keys and values), feed-forward {ff}, tied embeddings |
| parameters | {parameters:,} |
| weights | bfloat16 safetensors, {mib:.1f} MiB |
| tokenizer | byte-level BPE, {vocabulary:,} tokens, digits one by one; ChatML template |
| context | 2,048 tokens; windows of 512 in pretraining, every fourth step of 2,048 at its end |
| pretraining | {tokens:.1f} million tokens, {steps:,} steps of 16,384; Muon for hidden matrices, AdamW for the rest; warm-up, stable, linear decay |
| precision | bf16 autocast, on two shared CPU cores |

Made with `base/build_corpus.py` and `base/pretrain.py`; anyone can run them again.

## Figures

| | |
|---|---|
| held-out prose (every 60th document): loss a token | {valid:.3f} nats, perplexity {perplexity:.1f}, {bits:.3f} bits a byte |
| held-out chats and exercises: loss a token | {chat:.3f} nats, perplexity {chat_perplexity:.1f} |

What pretraining is worth: banking77 at 10 rows an intent, a mean-pooled head, full fine-tuning, accuracy on the 3,080
official test rows, {seeds} seeds; each network at its own best learning rate and number of steps, chosen on rows of the
training file (`benchmarks/base.py`, {date}).

| system | mean | lowest to highest |
|---|---|---|
{rows}

## Sources and licences

{tokens_corpus:.1f} million tokens in the corpus, {plain:.0%} plain text. None of it comes from banking77, clinc150, gsm8k or any
other set used for evaluation. The weights are derived from texts under these licences, and credit them here:

| source | licence |
|---|---|
{credits}

Chat-form text was made from the dialogues, the instructions, and exercises of our own over the prose (missing word,
which sentence follows, which title, same text or not, find, reorder, classify under made-up labels, ...).

## Limits

Three fifths of the prose is fiction of 1840 to 1920: period attitudes and words come with it. It has no safety training.
It states falsehoods fluently. English only.
"""

NAMES = {
    "banking77-10-linear": "TF-IDF with logistic regression",
    "banking77-10-random": "the same network, random weights",
    "banking77-10-pretrained": "this base",
}


def main() -> None:
    """Read what was measured, write the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=ROOT / "base" / "work" / "run")
    parser.add_argument("--corpus", type=Path, default=ROOT / "base" / "work" / "corpus")
    parser.add_argument("--benchmark", type=Path, required=True)
    args = parser.parse_args()
    config = json.loads((OUT / "config.json").read_text())
    corpus = json.loads((args.corpus / "corpus.json").read_text())
    result = json.loads((args.run / "result.json").read_text())
    bench = json.loads(args.benchmark.read_text())
    cases = {one["case"]: one for one in bench["cases"]}
    order = [name for name in NAMES if name in cases]
    rows = "\n".join(
        f"| {NAMES[name]} | {cases[name]['value']:.1%} | {cases[name]['spread'][0]:.1%} to {cases[name]['spread'][1]:.1%} |"
        for name in order
    )
    credits = "\n".join(f"| {one['from']} | {one['licence']} |" for one in corpus["credits"].values())
    card = CARD.format(
        layers=config["num_hidden_layers"],
        width=config["hidden_size"],
        heads=config["num_attention_heads"],
        kv=config["num_key_value_heads"],
        ff=config["intermediate_size"],
        parameters=result["parameters"],
        mib=(OUT / "model.safetensors").stat().st_size / 2**20,
        vocabulary=config["vocab_size"],
        tokens=result["tokens"] / 1e6,
        steps=result["step"],
        valid=result["valid"],
        perplexity=math.exp(result["valid"]),
        bits=result["valid"] / math.log(2) / corpus["bytes_per_token_valid"],
        chat=result["valid_chat"],
        chat_perplexity=math.exp(result["valid_chat"]),
        seeds=cases[order[-1]]["repeats"],
        date=bench["date"],
        rows=rows,
        tokens_corpus=corpus["counts"]["train"]["all"]["tokens"] / 1e6,
        plain=corpus["shares"]["part:plain text"],
        credits=credits,
    )
    (OUT / "README.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
