"""Pretrain the embedded base with tunesmith's own loop: next token on windows of raw text.

    python base/build_corpus.py                    # once: tokenizer and token files in base/work/corpus
    python base/pretrain.py --minutes 90           # stable rate; run again to go on
    python base/pretrain.py --decay-steps 600      # then let the rate fall to zero, and write the model

Resumable: a checkpoint is written every few minutes and the same command goes on from it. The rate is constant after
warm-up, so that "how long" need not be known beforehand; `--decay-steps` ends it (warm-up, stable, decay: Hu et al.,
2024). Muon trains the hidden matrices, AdamW the rest. A running average of the weights is kept beside them, so that a
usable base can be written at any time with `--export`.
"""

import argparse
import json
import math
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from tunesmith.core.files import whole_folder, write_json
from tunesmith.core.seeds import derive_seed
from tunesmith.train.batches import Batch, Example, Feed
from tunesmith.train.checkpoint import load_checkpoint, save_checkpoint
from tunesmith.train.config import ObjectiveConfig, TrainConfig
from tunesmith.train.loop import take_step
from tunesmith.train.objectives import objective
from tunesmith.train.optimizers import build_optimizers
from tunesmith.train.reading import read, weight_of
from tunesmith.train.schedules import schedule_of
from tunesmith.train.state import TrainState
from tunesmith.tree.plan import Pass, Sequence_

HERE = Path(__file__).parent
SHAPE = {
    "hidden_size": 320,
    "num_hidden_layers": 6,
    "num_attention_heads": 10,
    "num_key_value_heads": 5,
    "intermediate_size": 768,
}
AVERAGE_DECAY = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFeed(Feed):
    """Windows of `width` tokens at seeded random places of a token file; no epochs, no end."""

    tokens: np.ndarray
    width: int
    pass_rows: int

    def step(self, number: int) -> list[Batch]:
        """The passes of step `number`: batch_rows windows."""
        rng = np.random.default_rng(derive_seed(self.seed, "window", self.width, number))
        starts = rng.integers(0, len(self.tokens) - self.width - 1, self.config.batch_rows)
        return [self._batch(starts[low : low + self.pass_rows]) for low in range(0, len(starts), self.pass_rows)]

    def _batch(self, starts: np.ndarray) -> Batch:
        windows = np.stack([self.tokens[start : start + self.width + 1] for start in starts]).astype(np.int64)
        rows, width = len(starts), self.width
        everywhere = np.arange(rows * width, dtype=np.int64)
        planned = Pass(
            ids_BT=windows[:, :-1].copy(),
            positions_BT=np.broadcast_to(np.arange(width, dtype=np.int64), (rows, width)).copy(),
            ends_T=None,
            from_P=everywhere,
            place_S=everywhere,
            target_S=windows[:, 1:].reshape(-1).copy(),
            weight_S=np.ones(rows * width),
            row_S=np.repeat(np.arange(rows), width),
            last_R=np.arange(rows) * width + width - 1,
            rows_R=np.arange(rows),
            path_N=everywhere,
            lengths_R=np.full(rows, width),
        )
        members = tuple(
            Example(str(start), (Sequence_(tuple(window[:-1].tolist()), ()),)) for start, window in zip(starts, windows, strict=True)
        )
        return Batch(planned, members, planned.row_S, planned.rows_R)


def model_of(tokenizer, context: int, seed: int) -> LlamaForCausalLM:
    """The base's architecture with fresh weights."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=context,
            tie_word_embeddings=True,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
            initializer_range=0.02,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            attn_implementation="sdpa",
            **SHAPE,
        )
    )


@torch.no_grad()
def held_out_loss(state: TrainState, tokens: np.ndarray, width: int, most: int) -> float:
    """Mean natural-log loss per token over windows of a held-out file, each token scored once."""
    windows = min(most, (len(tokens) - 1) // width)
    feed = WindowFeed([], state.config, 0, "padded", tokens=tokens, width=width, pass_rows=8)
    total, count, text = 0.0, 0.0, objective(ObjectiveConfig(), "text")
    starts = np.arange(windows) * width
    for low in range(0, windows - windows % 8 or windows, 8):
        batch = feed._batch(starts[low : low + 8])
        with state.judged():
            total += text(read(state, batch, text).inputs).total.item()
        count += weight_of(batch, text)
    return total / count


def export(state: TrainState, weights: dict[str, torch.Tensor], tokenizer_folder: Path, out: Path) -> None:
    """Write config, bf16 safetensors and tokenizer as a folder that transformers loads."""
    from tunesmith.models.forward import inner

    model = inner(state.model)
    kept = {name: p.detach().clone() for name, p in model.named_parameters()}
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(weights[name])
    with whole_folder(out) as temporary:
        half = {name: p.detach().to(torch.bfloat16).contiguous() for name, p in model.named_parameters() if name != "lm_head.weight"}
        save_file(half, temporary / "model.safetensors", metadata={"format": "pt"})
        config = model.config.to_dict()
        config.update({"architectures": ["LlamaForCausalLM"], "dtype": "bfloat16"})
        config.pop("_name_or_path", None)
        write_json(temporary / "config.json", config)
        for file in sorted(tokenizer_folder.iterdir()):
            shutil.copyfile(file, temporary / file.name)
        card = out / "README.md"
        if card.exists():
            shutil.copyfile(card, temporary / "README.md")
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(kept[name])


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=HERE / "work" / "corpus")
    parser.add_argument("--out", type=Path, default=HERE / "work" / "run")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after this long; run again to go on")
    parser.add_argument("--steps", type=int, default=10**9, help="stop at this step")
    parser.add_argument(
        "--decay-steps", type=int, default=0, help="from the last stable checkpoint, let the rate fall to zero over so many steps"
    )
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--warmup-steps", type=int, default=60)
    parser.add_argument("--width", type=int, default=512, help="tokens in a window")
    parser.add_argument("--long-every", type=int, default=0, help="every so many steps, windows of the whole context instead")
    parser.add_argument("--batch-tokens", type=int, default=16384)
    parser.add_argument("--pass-tokens", type=int, default=4096)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--export", type=Path, help="write the averaged weights as a model folder and stop")
    return parser.parse_args()


def main() -> None:
    """Train until told to stop; log a JSON line every ten steps."""
    args = parse()
    torch.set_num_threads(args.threads)
    tokenizer = AutoTokenizer.from_pretrained(args.corpus / "tokenizer")
    tokens = np.memmap(args.corpus / "train.bin", dtype=np.uint16, mode="r")
    model = model_of(tokenizer, args.context, args.seed)
    config = TrainConfig(
        optimizer="muon",
        batch_rows=args.batch_tokens // args.width,
        schedule="constant",
        weight_decay=0.05,
        betas=(0.9, 0.95),
        warmup=args.warmup_steps / 10**9,
    )
    schedule = schedule_of(config, 10**9)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    state = TrainState(
        model.to(device), build_optimizers(model, config, args.learning_rate), schedule, config, args.learning_rate, device, args.precision
    )
    stable, average_file = args.out / "stable", args.out / "average.safetensors"
    average = {name: p.detach().clone() for name, p in model.named_parameters()}
    if stable.exists():
        load_checkpoint(state, stable)
        average = load_file(average_file)
    if args.export:
        export(state, average, args.corpus / "tokenizer", args.export)
        return
    if not args.no_compile:
        model.get_decoder().compile(dynamic=False)
    last = args.steps
    if args.decay_steps:
        last = state.step + args.decay_steps
        begin = state.step
        state.schedule = _Decay(begin, args.decay_steps)  # type: ignore[assignment]
    feed = feed_of(config, args, tokens, args.width)
    long = feed_of(config, args, tokens, args.context) if args.long_every else feed
    run(state, feed, long, average, args, last)


def feed_of(config: TrainConfig, args: argparse.Namespace, tokens: np.ndarray, width: int) -> WindowFeed:
    """Windows of one width, as many tokens a step whatever that is."""
    rows = config.model_copy(update={"batch_rows": args.batch_tokens // width})
    return WindowFeed([], rows, args.seed, "padded", tokens=tokens, width=width, pass_rows=max(1, args.pass_tokens // width))


@dataclass(frozen=True, slots=True)
class _Decay:
    """From full rate at step `begin` linearly to zero."""

    begin: int
    steps: int

    def share(self, step: int, losses: object = ()) -> float:
        return max(0.0, 1.0 - (step - self.begin) / (self.steps + 1))


def run(
    state: TrainState, feed: WindowFeed, long: WindowFeed, average: dict[str, torch.Tensor], args: argparse.Namespace, last: int
) -> None:
    """Step, average, log, save."""
    started = saved = time.monotonic()
    text = objective(ObjectiveConfig(), "text")
    valid = np.memmap(args.corpus / "valid.bin", dtype=np.uint16, mode="r")
    chat = np.memmap(args.corpus / "valid_chat.bin", dtype=np.uint16, mode="r")
    losses: list[float] = []

    def save() -> None:
        if not args.decay_steps:
            save_checkpoint(state, args.out / "stable")
            save_file(average, args.out / "average.safetensors")

    while state.step < last and time.monotonic() - started < args.minutes * 60:
        chosen = long if args.long_every and (state.step + 1) % args.long_every == 0 else feed
        report = take_step(state, chosen.step(state.step + 1), text)
        losses.append(report.loss)
        with torch.no_grad():
            for name, p in state.model.named_parameters():
                average[name].lerp_(p, 1 - min(AVERAGE_DECAY, (state.step + 1) / (state.step + 10)))
        if state.step % 10 == 0:
            line = {
                "step": state.step,
                "loss": round(float(np.mean(losses)), 4),
                "norm": round(report.grad_norm, 3),
                "tokens_per_second": round(report.computed_tokens / report.seconds),
                "minutes": round((time.monotonic() - started) / 60, 2),
            }
            if state.step % 200 == 0:
                line["valid"] = round(held_out_loss(state, valid, args.width, 64), 4)
                line["valid_chat"] = round(held_out_loss(state, chat, args.width, 64), 4)
            print(json.dumps(line), flush=True)
            losses.clear()
        if time.monotonic() - saved > 240:
            save()
            saved = time.monotonic()
    save()
    if args.decay_steps:
        final = {name: p.detach() for name, p in state.model.named_parameters()}
        export(state, final, args.corpus / "tokenizer", args.out / "model")
        result = {
            "step": state.step,
            "tokens": state.step * args.batch_tokens,
            "parameters": sum(p.numel() for p in state.model.parameters()),
            "valid": held_out_loss(state, valid, args.width, 10**6),
            "valid_chat": held_out_loss(state, chat, args.width, 10**6),
        }
        write_json(args.out / "result.json", result)
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    sys.exit(main())
