"""What a training holds at once and takes in all, by arithmetic: bytes, seconds, watt-hours, money. Pure; costs microseconds.

Of memory, what has a name is counted: weights, gradients, the optimiser's state, copies, what a pass keeps for its way back, logits. What
has none (an allocator's slack, a library's own buffers) is a share or a constant that says where it comes from. A probe of a few steps
(pipeline/probing.py) knows better, and corrects it.

Letters: T tokens of a pass, P places predicted from, H width, Q and K widths of all queries and of all keys, I width of the feed-forward's
middle, V vocabulary, r rank.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from tunesmith.recipe.architecture import LOW_RANK, Architecture

LOGITS_AT_ONCE = 2**24
"""As models/forward.py, which holds no more of them; a test keeps the two equal."""
CUDA_CONTEXT = 800 * 2**20
"""What a process takes of a GPU before its first tensor: half a GiB to one is usual for torch with its libraries. Not measured by this project."""
CUDA_SLACK = 0.05
"""Of what is held on a GPU, what torch's allocator can't use besides. Assumed, not measured by this project."""
CPU_LIBRARIES = 420 * 2**20
"""What Python, torch, transformers and this package take once they are imported: 400 to 440 MiB measured on Linux with torch 2.13."""
CPU_BUFFERS = 60 * 2**20
"""Code that oneDNN writes, threads' own arenas, buffers of the tokenizer: what the libraries take once they work."""
CPU_SLACK = 0.5
"""Of what comes and goes with a pass, what the C library keeps besides: 0.4 to 0.9 by probes of the embedded base and of a 17M Llama with glibc."""
PEAK_SHARE = {"cpu": 0.4, "cuda": 0.35}
"""Of the peak, what training is taken to reach where no step is tried. On two CPU cores 0.27 to 0.48 was measured in benchmarks of whole
trainings (docs/progress.md) and 0.4 to 0.6 in probes; on GPUs nothing was."""
ADAPTERS = (*LOW_RANK, "ia3", "prompt", "prefix")
"""Methods whose numbers stand beside the weights, in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """What learns, and what of a pass has to be kept for it."""

    numbers: int
    tensors: int = 0
    hidden: int = 0
    """Of the numbers, those in matrices between hidden states: muon's own."""
    hidden_tensors: int = 0
    factored: int = 0
    """Rows and columns of all matrices, and numbers of all vectors: what adafactor holds."""
    lowest: int = 0
    """The first layer that anything flows back through; the number of layers where nothing flows back through any."""
    norms: bool = True
    """Whether the norms' scales learn, so that what they multiply is kept."""
    inputs: bool = True
    """Whether matrices or adapters beside them learn, so that what they read is kept."""
    width: int = 4
    """Bytes of each number: adapters stay in float32 beside weights in bfloat16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The heaviest pass of a run."""

    tokens: int
    """That go through the model, padding included."""
    places: int
    """That are predicted from; for a head its rows."""
    longest: int
    """Tokens of the longest row: no pass can be smaller."""
    softmax: int = 0
    """Pairs of tokens whose attention is kept for the way back, of one head."""
    alone: bool = False
    """Whether every step is a single pass, so that gradients come as what the pass kept goes."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a run holds at its peak, in bytes, by part; the sum of its parts is the peak."""

    weights: int = 0
    gradients: int = 0
    optimizer: int = 0
    copies: int = 0
    """Of weights: a reference, a running mean, the start, and the base that the round compares with."""
    activations: int = 0
    """What a pass keeps for its way back, logits left out."""
    logits: int = 0
    rows: int = 0
    """The rows as tokens, and what frozen layers made of them."""
    shared: int = 0
    """Below 0: what gradients take up of the room that a single pass gives back."""
    checkpoint: int = 0
    """What the copy of a checkpoint takes beyond the room that gradients and activations have left by then."""
    libraries: int = 0
    """Python and its libraries, or a GPU's context; buffers and slack."""

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.parts().values())

    def parts(self) -> dict[str, int]:
        """By name, in the order of the table."""
        return {name: int(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that the memory of a run hangs on."""

    architecture: Architecture
    parameters: int
    learning: Learning
    load: Load
    method: str
    optimizer: str
    device: Literal["cpu", "cuda"] = "cpu"
    weight_bytes: int = 4
    narrow: bool = False
    """Whether the forward pass is in bfloat16."""
    checkpointing: bool = False
    master_weights: bool = True
    token_budget: int = 1024
    copies: Mapping[str, int] = field(default_factory=dict)
    """Setting -> bytes of the copies of weights it holds."""
    beside: int = 0
    """Bytes of the base that the round itself holds, to be compared with."""
    rows: int = 0
    """Bytes of the rows and of kept frozen states: in the machine's own memory, never in a GPU's."""

    def memory(self) -> Memory:
        """At its peak: on the way back of the heaviest pass, or where a checkpoint is copied to be written."""
        learning = self.learning
        gradients = learning.numbers * learning.width
        state = max(self.state_bytes(), gradients)  # before the first step a copy of what learns stands in its place
        kept, logits = self.activations(), self.logits()
        overlap = min(kept + logits, gradients) if self.load.alone else 0
        held = Memory(
            weights=self.parameters * self.weight_bytes,
            gradients=gradients,
            optimizer=state,
            copies=sum(self.copies.values()) + (self.beside if self.device == "cpu" else 0),
            activations=kept,
            logits=logits,
            rows=self.rows if self.device == "cpu" else 0,
            shared=-overlap,
            checkpoint=max(0, gradients + self.state_bytes() - (gradients + kept + logits - overlap)),
        )
        return replace(held, libraries=self._libraries(held))

    def state_bytes(self) -> int:
        """Of the optimiser, float32 copies of narrow weights with their gradients included."""
        master = self.learning.width < 4 and self.master_weights
        own = optimizer_bytes(self.optimizer, self.learning, 4 if master else self.learning.width)
        return own + (8 * self.learning.numbers if master else 0)

    def _libraries(self, held: Memory) -> int:
        if self.device == "cpu":
            passing = held.gradients + held.activations + held.logits + held.shared + held.checkpoint
            return CPU_LIBRARIES + CPU_BUFFERS + int(CPU_SLACK * passing)
        return CUDA_CONTEXT + int(CUDA_SLACK * held.total)

    def activations(self) -> int:
        """Bytes that the heaviest pass keeps, and what the work of one layer takes besides."""
        shape, load = self.architecture, self.load
        through = max(0, shape.layers - self.learning.lowest)
        small = 2 if self.narrow or self.weight_bytes < 4 else 4
        middle = shape.intermediate * (shape.experts_a_token if shape.experts else 1)
        working = load.tokens * (3 * middle + 2 * shape.queries + 3 * shape.hidden) * small
        if not through:
            return working
        a_layer = load.tokens * self._token_bytes(small) + shape.heads * load.softmax * small
        if self.checkpointing:
            return load.tokens * shape.hidden * small * through + a_layer + working
        trimmed = (
            (load.tokens - min(load.tokens, load.places)) * (4 * middle + shape.hidden) * small
        )  # the last layer, where it is not read
        return max(a_layer, a_layer * through - trimmed) + load.tokens * shape.hidden * 8 + working

    def _token_bytes(self, small: int) -> int:
        """Bytes that one layer keeps of one token: what its norms, matrices, attention and products of two need on the way back."""
        shape, learning = self.architecture, self.learning
        wide = 4 if self.weight_bytes == 4 else small
        middle = shape.intermediate * (shape.experts_a_token if shape.experts else 1)
        normed = 2 * shape.hidden * (wide * (2 if learning.norms else 1) + small * learning.inputs)
        keys = shape.queries if shape.heads > shape.kv_heads else shape.keys
        heads = (shape.queries + shape.keys) * (2 if learning.norms else 1) * wide if shape.normed_heads else 0
        feed = middle * ((3 if shape.gated else 1) + (1 if learning.inputs else 0))
        return normed + heads + (2 * shape.queries + 2 * keys + feed) * small

    def logits(self) -> int:
        """Bytes of the logits of a chunk: themselves, their softmax's logarithm, and its gradient."""
        return 3 * 4 * min(self.load.places * self.architecture.vocabulary, LOGITS_AT_ONCE)

    def within(self, budget: int) -> "Plan":
        """The same in passes of at most `budget` tokens, or of its longest row."""
        tokens = min(self.load.tokens, max(budget, self.load.longest))
        share = tokens / max(1, self.load.tokens)
        places, softmax = min(tokens, round(self.load.places * share)), round(self.load.softmax * share)
        alone = self.load.alone and tokens == self.load.tokens
        load = replace(self.load, tokens=tokens, places=max(1, places), softmax=softmax, alone=alone)
        return replace(self, load=load, token_budget=min(self.token_budget, budget))

    def cut(self, most: int) -> "Plan":
        """The same with rows of at most `most` tokens."""
        load = replace(self.load, longest=min(self.load.longest, most))
        return replace(self, load=load).within(min(self.token_budget, max(most, 1)))

    def by_lora(self, rank: int = 16) -> "Plan":
        """The same with low-rank adapters; a head, which is small, is left out."""
        numbers = self.architecture.learning("lora", rank=rank)
        learning = Learning(numbers=min(numbers, self.parameters), norms=False, factored=numbers)
        copies = {name: size * numbers // max(1, self.learning.numbers) for name, size in self.copies.items()}
        return replace(self, learning=learning, method="lora", copies=copies)

    def halved(self) -> "Plan":
        """The same with weights in bfloat16."""
        if self.weight_bytes < 4:
            return self
        learning = replace(self.learning, width=4 if self.method in ADAPTERS else 2)
        return replace(self, weight_bytes=2, narrow=True, beside=self.beside // 2, learning=learning)


def optimizer_bytes(optimizer: str, learning: Learning, width: int = 4) -> int:
    """Bytes of an optimiser's state after its first step, its counts of steps included.

    Args:
        optimizer: its name, as `train.optimizer`.
        learning: what it moves.
        width: bytes of a number of its state.
    """
    numbers, tensors = learning.numbers, learning.tensors
    match optimizer:
        case "adamw":
            return 2 * width * numbers + 4 * tensors
        case "muon":
            rest, others = numbers - learning.hidden, tensors - learning.hidden_tensors
            return width * learning.hidden + 2 * width * rest + 4 * others
        case "adafactor":
            return width * learning.factored + 4 * tensors
        case _:
            return width * numbers


def energy_wh(seconds: float | None, watts: float | None) -> float | None:
    """Watt-hours; None where one of the two is not known."""
    return None if seconds is None or watts is None else seconds * watts / 3600


def money(seconds: float | None, price_hour: float | None) -> float | None:
    """What a machine rented at so much an hour costs for so long; None where one of the two is not known."""
    return None if seconds is None or price_hour is None else seconds * price_hour / 3600


def seconds_of(flops: float, peak: float | None, share: float) -> float | None:
    """Seconds that operations take at a share of the peak; None where the peak is not known."""
    return flops / (peak * share) if peak else None
