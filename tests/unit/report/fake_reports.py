"""Reports as rounds of three kinds leave them: a gain, no gain, a generation task; with planted figures that tests look for."""

import math
import random
from typing import Any

INTENTS = [
    "refund",
    "delivery_date",
    "lost_parcel",
    "wrong_item",
    "damaged_item",
    "change_address",
    "cancel_order",
    "payment_failed",
    "invoice_copy",
    "gift_card",
    "voucher_code",
    "return_label",
    "opening_hours",
    "size_advice",
    "stock_question",
    "account_locked",
    "delete_account",
    "newsletter_stop",
    "price_match",
    "warranty",
    "complaint",
    "praise",
]
RECIPE = """seed: 0
data:
  path: tickets.jsonl
  task: classify
  split: {validation: 0.15, test: 0.15, by: customer_id}
base: {path: embedded}
method: {name: full}
train: {epochs: 6, learning_rate: 6e-4, batch_rows: 16, early_stopping: {patience: 3}}
evaluate: {metrics: [accuracy, macro_f1], few_shot: [0, 1, 4, 8]}
gates: {gain: 0.01}
"""


def estimate(value: float, half: float = 0.03) -> dict[str, float]:
    return {"value": value, "low": max(0.0, value - half), "high": value + half}


def system(
    key: str, name: str, kind: str, metrics: dict[str, Any], costs: tuple[float | None, float | None, float], against: Any = None
) -> dict[str, Any]:
    prompt, answer, seconds = costs
    return {
        "key": key,
        "name": name,
        "kind": kind,
        "metrics": metrics,
        "rows": 300,
        "prompt_tokens": prompt,
        "answer_tokens": answer,
        "seconds_per_answer": seconds,
        "against": against,
    }


def sureness(too_much: float) -> dict[str, Any]:
    """Figures of confidences that lie so far above the truth."""
    bins = [
        {"confidence": min(1.0, right + too_much), "accuracy": right, "low": right - 0.1, "high": min(1.0, right + 0.1), "count": 60}
        for right in (0.5, 0.7, 0.85, 0.95)
    ]
    figures = {
        "accuracy": 0.823,
        "confidence": min(1.0, 0.823 + too_much),
        "ece": 0.03 + too_much,
        "ece_low": 0.0,
        "ece_high": 0.09 + too_much,
    }
    return figures | {"by_chance": 0.041, "brier": 0.26 + too_much, "nll": 0.61 + too_much, "diagram": bins}


def against(difference: float, half: float = 0.04, p_value: float = 0.0005) -> dict[str, Any]:
    return {"difference": difference, "low": difference - half, "high": difference + half, "p_value": p_value, "test": "exact McNemar"}


def curves(steps: int, start: float, floor: float, every: int, seed: int = 0) -> dict[str, Any]:
    """Falling training losses with noise, and a validation loss that turns up again towards the end."""
    chance = random.Random(seed)
    taken = [
        {
            "step": step,
            "loss": floor * 0.6
            + (start - floor * 0.6) * math.exp(-4 * step / steps)
            + chance.gauss(0, 0.12) * (0.3 + math.exp(-3 * step / steps)),
            "learning_rate": 6e-4 * min(1.0, step / 20) * 0.5 * (1 + math.cos(math.pi * step / steps)),
            "grad_norm": 3.0,
            "tokens": 812,
            "seconds": 0.4,
        }
        for step in range(1, steps + 1)
    ]
    watched = [
        {"step": step, "loss": floor + (start - floor) * math.exp(-5 * step / steps) + 0.5 * max(0.0, step / steps - 0.65)}
        for step in range(0, steps + 1, every)
    ]
    return {"steps": taken, "validation": watched, "chosen_step": min(watched, key=lambda v: v["loss"])["step"]}


def confusion(labels: list[str], per_label: int, right: float, seed: int = 1) -> dict[str, Any]:
    chance = random.Random(seed)
    counts = [[0] * len(labels) for _ in labels]
    for i in range(len(labels)):
        for _ in range(per_label):
            near = (i + chance.choice([1, 1, 1, 2, 5])) % len(labels)
            counts[i][i if chance.random() < right else near] += 1
    return {"labels": labels, "counts": counts}


def _environment() -> dict[str, Any]:
    return {
        "tunesmith": "0.1.0",
        "python": "3.11.9",
        "torch": "2.13.0+cpu",
        "transformers": "5.23.0",
        "peft": "0.21.2",
        "cpu": "AMD EPYC 7B13",
        "threads": 2,
        "platform": "Linux-6.1-x86_64",
    }


def _errors() -> list[dict[str, Any]]:
    texts = [
        (
            "Hi, I ordered the blue teapot on Monday and it still says preparing. Can I still change where it goes?",
            "change_address",
            "delivery_date",
        ),
        ("the box came but the lid is in two pieces :(", "damaged_item", "wrong_item"),
        ("Would you take ten off if I show you the same lamp cheaper somewhere else", "price_match", "voucher_code"),
        ("Please stop. I did not sign up for three mails a day.", "newsletter_stop", "delete_account"),
        ("It says my card was declined, but the money is gone from my account!", "payment_failed", "refund"),
    ]
    return [
        {"row_id": f"{index:016x}", "prompt": prompt, "reference": reference, "answer": answer, "confidence": 0.31 + 0.03 * index}
        for index, (prompt, reference, answer) in enumerate(texts * 4)
    ]


def gain() -> dict[str, Any]:
    """A classification round that earned its place."""
    sizes = [int(160 / (1 + 0.35 * place)) + 6 for place in range(len(INTENTS))]
    return {
        "schema": 1,
        "round": {
            "id": "r-3f2a9c01d4",
            "identity": "3f2a9c01d4" + "5e" * 27,
            "status": "done",
            "created": "2026-11-21T02:00:00Z",
            "finished": "2026-11-21T02:03:32Z",
            "seconds": 212.4,
            "peak_mib": 1423,
            "continued": 1,
        },
        "verdict": {
            "outcome": "gain",
            "sentence": (
                "Fine-tuning earned its place: accuracy 82.3% against 55.0% for the best baseline, "
                "4 examples: a gain of 27.3 points (95% interval 21.8 to 32.8)."
            ),
            "metric": "accuracy",
            "best_baseline": "few-shot",
            "gain": {"value": 0.273, "low": 0.218, "high": 0.328, "p_value": 0.0005},
            "notes": [
                "The linear floor (TF-IDF with logistic regression) is beaten by 11.6 points.",
                "Few-shot prompting costs 4.9 times the prompt tokens.",
            ],
            "gates": [
                {"name": "gain", "bound": 0.01, "value": 0.218, "holds": True},
                {"name": "calibration_error", "bound": 0.05, "value": 0.061, "holds": False},
            ],
        },
        "systems": [
            system(
                "zero-shot",
                "Base, zero-shot",
                "baseline",
                {"accuracy": estimate(0.41, 0.055), "macro_f1": estimate(0.352, 0.05)},
                (61.2, 3.1, 0.0121),
                against(0.413),
            ),
            system(
                "few-shot",
                "Base, 4 examples",
                "baseline",
                {"accuracy": estimate(0.55, 0.056), "macro_f1": estimate(0.487, 0.05)},
                (301.4, 3.1, 0.0483),
                against(0.273, 0.055),
            ),
            system(
                "linear",
                "TF-IDF + logistic regression",
                "floor",
                {"accuracy": estimate(0.707, 0.051), "macro_f1": estimate(0.661, 0.05)},
                (None, None, 0.0002),
                against(0.116, 0.05, 0.001),
            ),
            system(
                "tuned",
                "Fine-tuned",
                "tuned",
                {"accuracy": estimate(0.823, 0.043), "macro_f1": estimate(0.794, 0.048)},
                (61.2, 3.0, 0.0118),
            ),
        ],
        "few_shot": {
            "k": 4,
            "form": "labels listed",
            "tried": [
                {"k": 0, "form": "plain", "value": 0.33},
                {"k": 0, "form": "labels listed", "value": 0.40},
                {"k": 1, "form": "labels listed", "value": 0.44},
                {"k": 4, "form": "labels listed", "value": 0.54},
                {"k": 8, "form": "labels listed", "value": 0.52},
            ],
            "rows": 150,
        },
        "data": {
            "path": "/home/someone/tickets.jsonl",
            "format": "text/label",
            "task": "classify",
            "mapping": {"text": "message", "label": "intent"},
            "waterfall": [
                {
                    "stage": "read",
                    "kept": 2143,
                    "changed": 0,
                    "dropped": 9,
                    "reasons": {"not valid JSON": 6, "no value in column intent": 3},
                },
                {
                    "stage": "normalise",
                    "kept": 2143,
                    "changed": 212,
                    "dropped": 0,
                    "reasons": {"broken encoding repaired": 118, "white space": 94},
                },
                {
                    "stage": "dedup",
                    "kept": 2000,
                    "changed": 0,
                    "dropped": 143,
                    "reasons": {"same text and label as an earlier row": 139, "same text, other label": 4},
                },
            ],
            "sides": {"train": 1400, "select": 150, "calibrate": 150, "test": 300},
            "labels": dict(zip(INTENTS, sizes, strict=True)),
            "truncated": 0,
            "test_openings": 1,
        },
        "training": {
            "method": "full",
            "base": "embedded",
            "parameters": 6951168,
            "trainable": 6951168,
            **curves(264, 5.1, 0.74, 22),
            "stopped": "validation loss had not fallen for 3 evaluations",
            "tokens_in_rows": 1012334,
            "tokens_computed": 402177,
            "restarts": 0,
        },
        "calibration": {
            "rows": 150,
            "sentences": ["Confidences are corrected by a temperature of 1.62, found on 150 rows.", "Only a temperature was tried."],
            "test": {"before": sureness(0.12), "after": sureness(0.0)},
        },
        "slices": {
            "measure": "accuracy",
            "sentence": "1 of 3 slices is worse than the rest, after Holm's correction: label = refund (accuracy 51.0% on 40 rows).",
            "slices": [
                {
                    "name": name,
                    "worse": index == 0,
                    "p_corrected": 0.002 + 0.4 * index,
                    "figures": {"rows": 40, "value": estimate(0.51 + 0.15 * index, 0.1), "rest": 0.84, "difference": estimate(-0.33, 0.1)},
                }
                for index, name in enumerate(("label = refund", "length = over 60 characters", "source = tickets.jsonl"))
            ],
        },
        "forgetting": {
            "outcome": "kept",
            "sentence": "No forgetting was found: perplexity on 61 general documents went from 45.6 to 46.1, +1.1% (95% interval -0.4% to +2.6%).",
            "notes": ["The base itself does no better than guessing on the questions."],
            "rise": {"base": 45.6, "tuned": 46.1, "relative": {"value": 0.011, "low": -0.004, "high": 0.026}, "documents": 61},
            "probing": {
                "base": {"value": 0.323, "low": 0.22, "high": 0.45},
                "tuned": {"value": 0.306, "low": 0.2, "high": 0.43},
                "against": {"difference": -0.017, "low": -0.1, "high": 0.07},
                "questions": 62,
            },
        },
        "published": {
            "notes": [
                "The linear floor (TF-IDF with logistic regression) is beaten by 11.6 points.",
                "Few-shot prompting costs 4.9 times the prompt tokens.",
            ],
            "looks": [
                {
                    "look": "calibration",
                    "measured": True,
                    "alarm": False,
                    "text": "Confidences are corrected by a temperature of 1.62, found on 150 rows.",
                },
                {
                    "look": "slices",
                    "measured": True,
                    "alarm": True,
                    "text": "Worse than on the rest: label = refund (51.0% against 84.0%).",
                },
                {"look": "forgetting", "measured": True, "alarm": False, "text": "No forgetting was found."},
                {"look": "per_label", "measured": True, "alarm": False, "text": "Smallest F1: refund 20.0% of 14 rows."},
                {"look": "explained", "measured": True, "alarm": False, "text": None},
                {"look": "safety", "measured": False, "alarm": False, "text": None},
            ],
        },
        "confusion": confusion(INTENTS, 14, 0.82),
        "errors": _errors(),
        "recipe": RECIPE,
        "environment": _environment(),
        "hashes": {"recipe": "a1" * 32, "dataset": "b2" * 32, "base": "c3" * 32, "model": "d4" * 32},
        "seeds": {"recipe": 0},
        "warnings": ["3 labels have fewer than 10 rows in train."],
    }


def no_gain() -> dict[str, Any]:
    """A LoRA round over 77 labels that did not earn its place, on a worn test set."""
    labels = [
        f"{stem} {number}"
        for number in range(1, 12)
        for stem in ("card payment", "top up", "cash", "transfer", "exchange rate", "identity", "fee")
    ]
    report = gain()
    report["round"] = {
        **report["round"],
        "id": "r-9b77e0aa12",
        "created": "2026-11-22T09:41:00Z",
        "finished": "2026-11-22T11:04:45Z",
        "seconds": 5025.0,
        "continued": 0,
    }
    report["verdict"] = {
        "outcome": "no gain shown",
        "sentence": (
            "No gain shown: accuracy 41.3% against 40.7% for the best baseline, "
            "8 examples: a difference of 0.6 points (95% interval -3.8 to 5.0)."
        ),
        "metric": "accuracy",
        "best_baseline": "few-shot",
        "gain": {"value": 0.006, "low": -0.038, "high": 0.050, "p_value": 0.39},
        "notes": [],
        "gates": [],
    }
    report["systems"] = [
        system(
            "zero-shot",
            "Base, zero-shot",
            "baseline",
            {"accuracy": estimate(0.39, 0.055), "macro_f1": estimate(0.352, 0.05)},
            (61.2, 3.1, 0.0121),
            against(0.023),
        ),
        system(
            "few-shot",
            "Base, 8 examples",
            "baseline",
            {"accuracy": estimate(0.407, 0.056), "macro_f1": estimate(0.401, 0.05)},
            (612.0, 3.1, 0.0901),
            against(0.006, 0.044, 0.39),
        ),
        system(
            "tuned", "Fine-tuned", "tuned", {"accuracy": estimate(0.413, 0.043), "macro_f1": estimate(0.398, 0.048)}, (61.2, 3.0, 0.0118)
        ),
    ]
    report["few_shot"] = None
    report["data"] = {
        **report["data"],
        "labels": {label: 3 + (place * 7) % 41 for place, label in enumerate(labels)},
        "truncated": 12,
        "test_openings": 11,
    }
    report["training"] = {
        **report["training"],
        "method": "lora",
        "trainable": 147456,
        **curves(2400, 4.2, 2.9, 200, seed=4),
        "stopped": "all epochs were done",
        "tokens_in_rows": 90000,
        "tokens_computed": 90000,
        "restarts": 1,
    }
    report["confusion"] = confusion(labels, 12, 0.45)
    report["recipe"] = RECIPE.replace("name: full", "name: lora, rank: 16").replace("6e-4", "2e-4").replace("gates: {gain: 0.01}\n", "")
    report["hashes"] = {**report["hashes"], "dataset": "b7" * 32}
    report["warnings"] = []
    return report


def generation() -> dict[str, Any]:
    """A generation round: long answers, no labels, no floor, four metrics and perplexity."""

    def metrics(exact: float, rouge: float, chrf: float, bleu: float, perplexity: float) -> dict[str, Any]:
        return {
            "exact_match": estimate(exact, 0.02),
            "rougeL": estimate(rouge, 0.02),
            "chrf": estimate(chrf, 0.014),
            "bleu": estimate(bleu, 0.011),
            "perplexity": estimate(perplexity, 0.6),
        }

    report = gain() | {"calibration": None, "slices": None}
    report["round"] = {
        **report["round"],
        "id": "r-51c0ffee77",
        "created": "2026-11-23T18:05:00Z",
        "finished": "2026-11-23T18:08:32Z",
        "continued": 0,
    }
    report["verdict"] = {
        "outcome": "gain",
        "sentence": (
            "Fine-tuning earned its place: ROUGE-L 48.1 against 31.4 for the best baseline, "
            "1 example: a gain of 16.7 points (95% interval 14.2 to 19.2)."
        ),
        "metric": "rougeL",
        "best_baseline": "few-shot",
        "gain": {"value": 0.167, "low": 0.142, "high": 0.192, "p_value": 0.0005},
        "notes": [],
        "gates": [],
    }
    report["systems"] = [
        system("zero-shot", "Base, zero-shot", "baseline", metrics(0.01, 0.22, 0.241, 0.042, 18.2), (88.0, 61.0, 0.812), against(0.261)),
        system(
            "few-shot", "Base, 1 example", "baseline", metrics(0.04, 0.314, 0.309, 0.088, 14.9), (231.0, 58.2, 0.94), against(0.167, 0.025)
        ),
        system("tuned", "Fine-tuned", "tuned", metrics(0.12, 0.481, 0.477, 0.216, 6.1), (88.0, 44.7, 0.655)),
    ]
    report["training"] = {**report["training"], **curves(900, 3.4, 1.8, 75, seed=7)}
    report["confusion"] = None
    report["data"] = {
        **report["data"],
        "task": "generate",
        "format": "prompt/completion",
        "mapping": {"prompt": "question", "answer": "reply"},
        "labels": {},
    }
    report["errors"] = [
        {
            "row_id": "77aa0011bb22cc33",
            "prompt": (
                "Write a reply to this customer.\n\nThe kettle I got last week does not switch "
                "itself off any more. Is that safe, and what do I do now?"
            ),
            "reference": (
                "Please don't use the kettle any more and unplug it. We'll send a "
                "new one today; a return label is on its way to you by e-mail."
            ),
            "answer": "Thank you for your message. Please use the kettle and we will send a label.",
            "confidence": None,
        },
    ]
    return report


def hostile(trap: str = "http://127.0.0.1:9") -> dict[str, Any]:
    """A gain whose every foreign text tries something: to run, to fetch from `trap`, to hide, to break out of its place."""
    report = gain()
    script, turned, long = "</script><script>document.title='owned'</script>", "refund\u202edrawer", "w" * 400
    escape, picture, attribute = (
        "\x1b[31mred\x1b[0m\x07",
        f"<img src='{trap}/picture' onerror=\"document.title='owned'\">",
        "\" onmouseover=\"document.title='owned'",
    )
    labels = [
        script,
        turned,
        long,
        escape,
        picture,
        attribute,
        "",
        "عربى",
        "[bold]urgent[/bold]",
        "{{ 7*7 }}",
        f"`]; fetch('{trap}/fetch')",
        "\u200brefund",
    ]
    report["round"]["id"] = f"r-1{picture}"
    report["verdict"]["sentence"] += f" {script}{turned}"
    report["verdict"]["notes"] = [
        script,
        escape,
        long,
        "[link=x]click[/link]",
        f"</style><style>body{{background:url({trap}/style)}}</style>",
        f"<link rel=stylesheet href={trap}/sheet>",
    ]
    report["verdict"]["gates"] = [{"name": attribute, "bound": 0.1, "value": 0.2, "holds": None}]
    for index, name in enumerate((script, attribute, escape + "[bold]x[/bold]", turned + long)):
        report["systems"][index]["name"] = name
    report["data"]["path"] = f"/tmp/{picture}"
    report["data"]["labels"] = {label: 12 - index for index, label in enumerate(labels)}
    report["data"]["waterfall"][0]["reasons"] = {script: 3, long: 2, **{f"reason {index}": 1 for index in range(9)}}
    report["data"]["mapping"] = {script: attribute}
    report["few_shot"]["tried"].append({"k": 2, "form": picture, "value": 0.1})
    report["confusion"] = confusion(labels, 10, 0.7)
    report["errors"] = [
        {"row_id": attribute, "prompt": text, "reference": script, "answer": turned, "confidence": 0.5}
        for text in (
            script,
            picture,
            escape,
            long * 12,
            "a\u0301" + "\u0316" * 60,
            "\x00\x85\u2066\u2028\ud800\U000e0041",
            "line one\nline two\ttabbed",
            "",
        )
    ]
    report["recipe"] = f'seed: 0\nnote: "{script}"\n{turned}: {long}\n'
    report["environment"] = {script: turned, "cpu": attribute}
    report["hashes"] = {"dataset": script}
    report["warnings"] = [script, turned]
    report["training"]["stopped"] = picture
    report["training"]["base"] = script
    return report
