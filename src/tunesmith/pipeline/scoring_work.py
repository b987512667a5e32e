"""What evaluation will compute, roughly: the base's prompts tried on `select`, then base and tuned model on test.

How many examples will help is not known before; the middle of what may be tried is taken. Test rows are counted and never read: they
are taken to be as long as those of `select`. What is looked at beside the score (forgetting, bias, twins, ...) is left out.
"""

from tunesmith.data.config import Task
from tunesmith.pipeline.workload import Workload


def scoring_flops(work: Workload) -> float:
    """Operations of all that is scored, forward."""
    rows = work.select or work.train
    each = sum(one.tokens for one in rows) / max(1, len(rows)) + _options(work)
    counts = work.bench.dataset.counts()
    config = work.recipe.evaluate
    tried = min(len(work.select), config.select_rows)
    ks = _examples_tried(work)
    ways = len(config.few_shot_by) * (2 if work.bench.dataset.task == Task.CLASSIFY else 1)
    choosing = tried * each * (2 + ways * sum(1 + k for k in ks))
    middle = ks[len(ks) // 2] if ks else 0
    testing = counts.get("test", 0) * each * (2 + (1 + middle if ks else 0))
    calibrating = counts.get("calibrate", 0) * each
    return (choosing + testing + calibrating) * _flops_a_token(work)


def _options(work: Workload) -> float:
    """Tokens of the label set, which stands under every prompt where labels are written."""
    bench = work.bench
    if bench.dataset.task != Task.CLASSIFY or bench.labels is None:
        return 0.0
    return float(sum(len(bench.renderer.answer(label)) for label in bench.labels))


def _examples_tried(work: Workload) -> list[int]:
    config = work.recipe.evaluate
    if config.few_shot != "auto":
        return sorted(set(config.few_shot) - {0})
    return [2**power for power in range(config.few_shot_most.bit_length())][:3]


def _flops_a_token(work: Workload) -> float:
    """Forward, of one token, the output layer left out: labels and answers are few of the tokens."""
    shape = work.plan.architecture
    return 2.0 * (work.plan.parameters - shape.vocabulary * shape.hidden * (1 if shape.tied else 2))
