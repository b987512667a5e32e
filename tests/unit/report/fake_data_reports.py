"""Data reports made up for tests: one with everything in it, one of hostile rows, one of very many and very long ones."""

from typing import Any

SIDES = ("train", "select", "calibrate", "test")
EDGES = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


def bare() -> dict[str, Any]:
    """Nothing but what must be there."""
    return {"schema": 1, "dataset": {"id": "ab" * 32, "path": "/data/tickets.csv"}}


def clean() -> dict[str, Any]:
    """A set in which nothing is wrong."""
    return bare() | {
        "waterfall": [
            {"stage": "read", "kept": 4000, "changed": 0, "dropped": 0, "reasons": {}, "changes": {}},
            {"stage": "split", "kept": 4000, "changed": 0, "dropped": 0, "reasons": {}, "changes": {}},
        ],
        "sides": {"train": 2000, "select": 500, "calibrate": 500, "test": 1000},
        "labels": {side: {"refund": count, "address": count} for side, count in zip(SIDES, (1000, 250, 250, 500), strict=True)},
        "findings": {
            "personal": {"looked": 4000, "rows": 0, "kinds": {}, "replaced": False, "samples": []},
            "near": {"pairs": 0, "alike": 0, "compared": 12, "capped": 0, "clusters": []},
            "contamination": {"held": {"test.jsonl": 1000}, "dropped": 0},
            "labels": {"judged": 4000, "suspected": 0, "in_train": 0, "review": None, "first": []},
            "suspicions": {"looked": 4000, "rules": {"too_short": 0}},
            "split": {
                "test_rows": 1000,
                "smallest_gain": 0.04,
                "near_crossings": 0,
                "text_crossings": 0,
                "group_crossings": None,
                "by": None,
            },
            "augment": None,
            "audit": {"findings": [], "rows": {"looked_at": 4000}},
            "coverage": None,
        },
        "tokens": {
            "context": 512,
            "max_tokens": 512,
            "per_row": {"median": 40, "p95": 80, "max": 200},
            "cut": 0,
            "total": {"train": 80000},
        },
    }


def whole() -> dict[str, Any]:
    """A set in which something of everything was found."""
    lengths = {"edges": EDGES, "counts": [0, 0, 0, 0, 0, 10, 300, 900, 200, 20, 3], "median": 88}
    return bare() | {
        "dataset": {
            "id": "ab" * 32,
            "path": "/data/tickets.csv",
            "format": "text/label",
            "task": "classify",
            "mapping": {"text": "message", "label": "intent"},
            "created": "2026-11-21T02:00:00+00:00",
        },
        "waterfall": [
            _stage("read", 9990, dropped={"not valid JSON": 7, "no text": 3}),
            _stage("normalise", 9990, changed={"white space": 400, "encoding repaired": 100}),
            _stage("filter", 8990, dropped={"too short": 900, "repeats itself": 100}),
            _stage("anonymise", 8990),
            _stage("leak", 8980, dropped={"stands in test": 10}),
            _stage("contamination", 8975, dropped={"nearly stands in bench.jsonl": 5}),
            _stage("dedup", 8900, dropped={"repeats an earlier row": 75}),
            _stage("split", 8900),
            _stage("augment", 9100) | {"added": 200},
        ],
        "sides": {"train": 7100, "select": 500, "calibrate": 500, "test": 1000},
        "labels": {
            "train": {"refund": 6000, "address": 1090, "rare": 5, "untested": 5},
            "select": {"refund": 400, "address": 100},
            "calibrate": {"refund": 400, "address": 100},
            "test": {"refund": 800, "address": 190, "rare": 4, "unseen": 6},
        },
        "samples": [
            _sample("normalise", "white space", "a  b", "a b"),
            _sample("normalise", "encoding repaired", "cafÃ© au lait", "café au lait"),
            _sample("filter", "too short", "ok", None),
        ],
        "findings": {
            "personal": {
                "looked": 9990,
                "rows": 50,
                "kinds": {"email": 40, "phone": 12},
                "replaced": False,
                "samples": ["write to [EMAIL]"],
            },
            "near": {
                "pairs": 90,
                "alike": 60,
                "compared": 4000,
                "capped": 2,
                "clusters": [
                    [{"source": "t.csv:1", "text": "my parcel is late", "label": "late"}] * 2
                    + [{"text": "my parcel is lost", "label": "lost"}]
                ],
            },
            "contamination": {"held": {"bench.jsonl": 120}, "dropped": 5},
            "labels": {
                "judged": 8900,
                "suspected": 89,
                "in_train": 70,
                "review": "review.csv",
                "first": [{"source": "t.csv:9", "text": "where is it", "given": "refund", "suggested": "address", "score": 0.01}],
            },
            "suspicions": {"looked": 9990, "rules": {"refusal": 14, "echo": 0}},
            "split": {
                "test_rows": 150,
                "smallest_gain": 0.102,
                "near_crossings": 3,
                "text_crossings": 2,
                "group_crossings": 1,
                "by": "customer",
            },
            "augment": {"made": {"typos": 150, "synonyms": 50}, "refused": {"stands in test": 4}},
            "lengths": {side: {"shown": lengths, "answer": lengths} for side in SIDES},
            "audit": {
                "rows": {"looked_at": 8900},
                "findings": [
                    _finding("label.skew", "The commonest label has 1,200 times the rows of the rarest.", ["balance.upsample"]),
                    _finding("label.group_terms", "Rows that name men are refunds more often.", "review") | {"mitigated": True},
                    _finding("label.too_few_to_learn", "2 labels are too rare.", []),
                ],
                "terms": {"gender": {"groups": {"women": _group(400, 0.045), "men": _group(300, 0.034)}}},
                "mitigations": {
                    "balance.upsample": {"recipe": "data: {balance: {method: upsample}}", "sentence": "Repeat rows of rare labels."}
                },
            },
            "coverage": {
                "findings": [_finding("coverage.clusters", "2 of 12 clusters of inputs have no train row.", ["collect"])],
                "tables": [{"title": "Clusters", "columns": ["Cluster", "Rows"], "rows": [["c1", 12], ["c2", 0.25]]}],
            },
        },
        "tokens": {
            "context": 512,
            "max_tokens": 256,
            "per_row": {"median": 40, "p95": 180, "max": 900},
            "cut": 31,
            "total": {"train": 300000, "test": 40000},
            "instruction": 12,
            "epoch_tokens": 290000,
            "labels": {"refund": 1},
            "measured": {"train": 2000, "test": 1000},
        },
        "notes": ["3 texts carry more than one label (7 rows, kept)."],
        "recipe_section": "data:\n  path: tickets.csv\n",
        "hashes": {"dataset": "ab" * 32, "train": "cd" * 32},
    }


def _stage(stage: str, kept: int, dropped: dict[str, int] | None = None, changed: dict[str, int] | None = None) -> dict[str, Any]:
    dropped, changed = dropped or {}, changed or {}
    counts = {"kept": kept, "changed": sum(changed.values()), "dropped": sum(dropped.values())}
    return {"stage": stage, **counts, "reasons": dropped, "changes": changed}


def _sample(stage: str, reason: str, before: str, after: str | None) -> dict[str, Any]:
    told = None if after is None else {"prompt": after, "answer": "late"}
    return {"stage": stage, "reason": reason, "source": "tickets.csv:17", "before": {"prompt": before, "answer": "late"}, "after": told}


def _finding(what: str, sentence: str, mitigation: list[str] | str) -> dict[str, Any]:
    return {"what": what, "figure": 0.25, "interval": [0.2, 0.3], "rows": 400, "sentence": sentence, "mitigation": mitigation}


def _group(hits: int, rate: float) -> dict[str, Any]:
    share = {"rows": 8900, "hits": hits, "rate": rate, "interval": [rate / 2, rate * 2]}
    other = {"with": share | {"rate": 0.4}, "without": share | {"rate": 0.2}, "difference": {"value": 0.2, "interval": [0.1, 0.3]}}
    return share | {"labels": {"refund": other}}


def hostile(trap: str = "http://127.0.0.1:9") -> dict[str, Any]:
    """`whole`, whose every text tries something: to run, to fetch from `trap`, to hide, to break out of its place."""
    texts = [
        "</script><script>document.title='owned'</script>",
        "refund\u202edrawer\u2066",
        f"<img src='{trap}/picture' onerror=\"document.title='owned'\">",
        '" onmouseover="document.title=\'owned\'" x="',
        f"</style><style>body{{background:url({trap}/style)}}</style>",
        f"</svg><iframe src='{trap}/frame'></iframe><link rel=stylesheet href={trap}/sheet>",
        "\x1b[31mred\x1b[0m\x07\x00\x85\u2028\ud800\U000e0041",
        "a\u0301" + "\u0316" * 60,
        "{{ 7*7 }}{% raw %}",
        "⟨U+202E⟩",
        "عربى \u200bגלוי",
        "",
        "w" * 400,
        f"javascript:fetch('{trap}/fetch')",
    ]
    turn = iter(range(10**9))

    def spoil(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            fixed = key in (
                "",
                "findings",
                "before",
                "after",
                "dataset",
                "lengths",
                "per_row",
                "split",
                "near",
                "audit",
                "coverage",
                "tokens",
            )
            known = fixed or not all(isinstance(part, int) for part in value.values())
            return {name if known else f"{texts[next(turn) % len(texts)]}{next(turn)}": spoil(part, name) for name, part in value.items()}
        if isinstance(value, list):
            return [spoil(part, key) for part in value]
        return texts[next(turn) % len(texts)] if isinstance(value, str) and key not in ("stage", "what") else value

    report: dict[str, Any] = spoil(whole())
    report["waterfall"].append(_stage(texts[0], 1, {texts[2]: 1}) | {"changes": {texts[1]: 1}, "changed": 1})
    report["samples"] += [_sample("filter", text, text, other) for text, other in zip(texts, [*texts[1:], None], strict=True)]
    report["samples"] += [_sample("normalise", "same", text, text + "!") for text in texts]
    report["findings"]["suspicions"]["rules"] = dict.fromkeys(texts, 3)
    report["findings"]["personal"]["kinds"] = dict.fromkeys(texts, 3)
    report["labels"]["train"] |= dict.fromkeys(texts, 40)
    report["labels"]["strange" + texts[3]] = {texts[0]: 4}
    report["sides"][texts[0]] = 4
    return report


def huge() -> dict[str, Any]:
    """`whole` with ten thousand labels, reasons and findings, and texts of 100 KB that are costly to show."""
    # Every other character differs, and each takes a dozen bytes to be shown.
    costly, other = "\u202e\U000e0041" * 50_000, "\u202e\U000e0042" * 50_000
    report = whole()
    many = {f"{costly[:6]}{number}": number + 1 for number in range(10_000)}
    report["labels"] = {side: dict(many) for side in SIDES}
    report["waterfall"] = [
        _stage(f"{name}", 10_000, dict(many), dict(many))
        for name in ("read", "normalise", "fill", "filter", "anonymise", "leak", "contamination", "dedup", *map(str, range(100)))
    ]
    report["samples"] = [_sample(stage["stage"], f"reason {turn}", costly, other) for stage in report["waterfall"] for turn in range(30)]
    findings = report["findings"]
    findings["personal"] |= {"kinds": many, "samples": [costly] * 500}
    findings["near"]["clusters"] = [[{"source": costly, "text": text, "label": costly} for text in (costly, other) * 50]] * 200
    findings["labels"]["first"] = [{"source": costly, "text": costly, "given": costly, "suggested": other, "score": 0.1}] * 5000
    findings["suspicions"]["rules"] = findings["augment"]["made"] = findings["augment"]["refused"] = many
    findings["contamination"]["held"] = many
    findings["audit"]["findings"] = findings["coverage"]["findings"] = [_finding(costly, costly, [costly] * 50)] * 2000
    findings["audit"]["terms"] = {
        f"{costly[:50]}{number}": {"groups": {name: _group(4, 0.1) for name in list(many)[:300]}} for number in range(60)
    }
    findings["coverage"]["tables"] = [{"title": costly, "columns": [costly] * 50, "rows": [[costly] * 50] * 200}] * 100
    findings["coverage"]["examples"] = [{"text": costly}] * 400
    report["tokens"]["labels"] = report["tokens"]["total"] = many
    report["notes"] = [costly] * 2000
    report["recipe_section"] = costly
    report["hashes"] = report["dataset"]["mapping"] = dict.fromkeys(list(many)[:500], costly)
    report["dataset"] |= {"path": costly, "created": costly, "format": costly}
    return report
