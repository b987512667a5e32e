"""Personal data and secrets: what is found of what is there, what is flagged where nothing is, and how fast.

`pii_synth` (1,500 invented texts with marked spans) is parted by template: even `template_id`s were developed on, odd ones are measured.
Of a marked span at least half the characters must lie in findings of its kind; of a finding at least half must lie in marked spans of
its kind, where an address may also hold the towns and lands marked beside it, and a date of birth any date. `KINDS` says which marked
types are which kind; the others (organisations, towns alone, dates, ages, titles, nationalities) are told apart and not counted.

Secrets: a table of real formats, each put together here from pieces, so that no scanner takes this file for a leak.
"""

import gzip
import json
import random
import re
import statistics
import string
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from training.peers import ROOT, Side, environment

from tunesmith.data.anonymise import Finding, find

DATA = ROOT.parent / "shared" / "data"
KINDS = {
    "PERSON": "person",
    "STREET_ADDRESS": "address",
    "ZIP_CODE": "address",
    "CREDIT_CARD": "card",
    "PHONE_NUMBER": "phone",
    "EMAIL_ADDRESS": "email",
    "DOMAIN_NAME": "url",
    "IBAN_CODE": "iban",
    "US_SSN": "id",
    "US_DRIVER_LICENSE": "id",
    "IP_ADDRESS": "ip",
}
BESIDE = {"address": ("GPE",), "birth_date": ("DATE_TIME",)}
"""Marked types that a finding of the kind may also cover."""
PEER_KINDS = {
    "PERSON": "person",
    "CREDIT_CARD": "card",
    "PHONE_NUMBER": "phone",
    "EMAIL_ADDRESS": "email",
    "URL": "url",
    "IBAN_CODE": "iban",
    "US_SSN": "id",
    "US_ITIN": "id",
    "US_DRIVER_LICENSE": "id",
    "US_PASSPORT": "id",
    "US_BANK_NUMBER": "id",
    "UK_NHS": "id",
    "MEDICAL_LICENSE": "id",
    "IP_ADDRESS": "ip",
    "CRYPTO": "secret",
}
"""presidio's types as our kinds; its dates and places are not counted for or against it."""
REPEATS = 5
SENTENCES = 200_000
Spans = Sequence[Finding]


def cases() -> dict[str, Callable[[], dict[str, Any]]]:
    """Case to what measures it."""
    return {
        "pii-recall": lambda: _share("pii-recall", None, "recall", 0.92),
        "pii-precision": lambda: _share("pii-precision", None, "precision", 0.90),
        "pii-person-recall": lambda: _share("pii-person-recall", "person", "recall", 0.80),
        "pii-person-precision": lambda: _share("pii-person-precision", "person", "precision", 0.85),
        "secrets-found": secrets_found,
        "secrets-false": secrets_false,
        "anonymise-speed": speed,
    }


@cache
def rows(measured: bool) -> list[dict[str, Any]]:
    """The texts of one half, by template."""
    with gzip.open(DATA / "pii_synth" / "synth_dataset_v2.json.gz", "rt", encoding="utf-8") as file:
        return [row for row in json.load(file) if row["template_id"] % 2 == int(measured)]


def tally(texts: Sequence[dict[str, Any]], found: Sequence[Spans]) -> dict[str, Counter[str]]:
    """By kind: marked, reached, found, right; marked types that are no kind stand under their own names."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("marked", "reached", "found", "right")}
    for row, findings in zip(texts, found, strict=True):
        marked = [(span["start_position"], span["end_position"], span["entity_type"]) for span in row["spans"]]
        for start, end, label in marked:
            kind = KINDS.get(label, label)
            covered = sum(_common(start, end, one.start, one.end) for one in findings if one.kind == kind)
            counts["marked"][kind] += 1
            counts["reached"][kind] += 2 * covered >= end - start
        for one in findings:
            good = [(start, end) for start, end, label in marked if KINDS.get(label) == one.kind or label in BESIDE.get(one.kind, ())]
            counts["found"][one.kind] += 1
            counts["right"][one.kind] += 2 * sum(_common(start, end, one.start, one.end) for start, end in good) >= one.end - one.start
    return counts


def _common(start: int, end: int, other_start: int, other_end: int) -> int:
    return max(0, min(end, other_end) - max(start, other_start))


def shares(counts: dict[str, Counter[str]], kind: str | None) -> dict[str, Any]:
    """Recall and precision of one kind, or of all that `KINDS` names, with the numbers they are of."""
    kinds = {kind} if kind else set(KINDS.values()) | set(counts["found"])
    totals = {name: sum(count for of, count in counter.items() if of in kinds) for name, counter in counts.items()}
    return totals | {"recall": totals["reached"] / max(1, totals["marked"]), "precision": totals["right"] / max(1, totals["found"])}


@cache
def _measured() -> dict[str, Counter[str]]:
    texts = rows(True)
    return tally(texts, [find(row["full_text"]) for row in texts])


def _share(case: str, kind: str | None, name: str, reach: float) -> dict[str, Any]:
    counts = _measured()
    result = shares(counts, kind)
    of, hits = ("marked", "reached") if name == "recall" else ("found", "right")
    by_kind = {key: {what: counts[what][key] for what in counts} for key in sorted(set(counts["marked"]) | set(counts["found"]))}
    return {
        "case": case,
        "value": round(result[name], 4),
        "unit": "share",
        "spread": _wilson(result[hits], result[of]),
        "repeats": 1,
        "ours": {"marked": result["marked"], "found": result["found"], "right": result["right"], "by_kind": by_kind},
        "to_reach": reach,
    }


def _wilson(hits: int, count: int) -> list[float]:
    """The 95% interval of a share (Wilson, 1927)."""
    z, share = 1.96, hits / max(1, count)
    middle, width = share + z * z / (2 * count), z * (share * (1 - share) / count + z * z / (4 * count * count)) ** 0.5
    return [round((middle + sign * width) / (1 + z * z / count), 4) for sign in (-1, 1)]


def secrets() -> dict[str, str]:
    """One made-up secret of each of 30 formats, from a fixed seed."""
    draw = random.Random(4)

    def some(count: int, letters: str = string.ascii_letters + string.digits) -> str:
        return "".join(draw.choice(letters) for _ in range(count))

    hexes, base = "0123456789abcdef", string.ascii_letters + string.digits + "+/"
    upper = string.ascii_uppercase + "234567"
    wide = string.ascii_letters + string.digits + "_-"
    return {
        "AWS access key": "AK" + "IA" + some(16, upper),
        "AWS secret key": "aws_secret_access" + "_key = " + some(40, base),
        "GitHub token": "gh" + "p_" + some(36),
        "GitHub fine-grained token": "github" + "_pat_" + some(22) + "_" + some(59),
        "GitLab token": "gl" + "pat-" + some(20, wide),
        "Slack bot token": "xo" + "xb-" + some(12, string.digits) + "-" + some(12, string.digits) + "-" + some(24),
        "Slack webhook": "https://hooks." + "slack.com/services/T" + some(8, upper) + "/B" + some(8, upper) + "/" + some(24),
        "Stripe live key": "sk" + "_live_" + some(24),
        "Google API key": "AI" + "za" + some(35, wide),
        "Google OAuth secret": "GOC" + "SPX-" + some(28, wide),
        "OpenAI project key": "sk" + "-proj-" + some(48, wide),
        "Anthropic key": "sk" + "-ant-api03-" + some(93, wide) + "AA",
        "Hugging Face token": "h" + "f_" + some(34, string.ascii_letters),
        "npm token": "np" + "m_" + some(36),
        "PyPI token": "py" + "pi-AgEIcHlwaS5vcmc" + some(120, wide),
        "Docker token": "dck" + "r_pat_" + some(27, wide),
        "SendGrid key": "S" + "G." + some(22, wide) + "." + some(43, wide),
        "Twilio key": "S" + "K" + some(32, hexes),
        "Mailgun key": "ke" + "y-" + some(32, hexes),
        "Telegram bot token": some(10, "123456789") + ":A" + "A" + some(33, wide),
        "Discord bot token": "M" + some(25) + "." + some(6) + "." + some(38, wide),
        "JSON web token": "ey" + "J" + some(33) + ".ey" + "J" + some(60) + "." + some(43, wide),
        "private key": "-----BEGIN RSA PRIV"
        + "ATE KEY-----\n"
        + "\n".join(some(64, base) for _ in range(4))
        + "\n-----END RSA PRIV"
        + "ATE KEY-----",
        "database URL": "postgres" + "ql://reader:" + some(14) + "@db.internal:5432/orders",
        "Azure storage key": "AccountName=store;Account" + "Key=" + some(86, base) + "==",
        "Databricks token": "da" + "pi" + some(32, hexes),
        "DigitalOcean token": "do" + "p_v1_" + some(64, hexes),
        "Shopify token": "shp" + "at_" + some(32, hexes),
        "Vault token": "hv" + "s." + some(90, wide),
        "age key": "AGE-SECRET" + "-KEY-1" + some(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"),
    }


def secrets_found() -> dict[str, Any]:
    """Each in a sentence and in a line of a settings file; found where all of it is covered in both."""
    missed = []
    for name, secret in secrets().items():
        value = secret.rpartition("= ")[2] if "= " in secret else secret.rpartition("Account" + "Key=")[2]
        for text in (f"Here it is, please keep it: {secret} and thanks.", f"# settings\nVALUE: {secret}\nNEXT: 1\n"):
            place = text.index(value)
            if not any(one.kind == "secret" and one.start <= place and place + len(value) <= one.end for one in find(text, ("secret",))):
                missed.append(name)
    count = len(secrets())
    found = count - len(set(missed))
    return {
        "case": "secrets-found",
        "value": found,
        "unit": f"of {count}",
        "spread": [found, found],
        "repeats": 1,
        "ours": {"missed": sorted(set(missed))},
        "to_reach": 30,
    }


def secrets_false() -> dict[str, Any]:
    """Flags in plain prose that holds none, per 10,000 sentences."""
    flags = count = 0
    for text in _prose():
        count += len(re.findall(r"[.!?][\"'”’)]?\s", text)) + 1
        flags += len(find(text, ("secret",)))
        if count >= SENTENCES:
            break
    value = round(10_000 * flags / count, 3)
    return {
        "case": "secrets-false",
        "value": value,
        "unit": "per 10,000 sentences",
        "spread": [value, value],
        "repeats": 1,
        "ours": {"sentences": count},
        "to_reach": 1,
    }


def _prose() -> Iterator[str]:
    for file in sorted(Path(DATA / "pretrain_en").glob("train-*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            yield from (json.loads(line)["text"] for line in lines)


def speed() -> dict[str, Any]:
    """All 1,500 texts by both in turn, one thread each, by the clock and by processor time; the lower of the two ratios is told.

    A busy machine bends the clock and, through shared caches, processor time a little less. The shares of both on the measured
    half, from the same run, stand beside.
    """
    texts = rows(True) + rows(False)
    plain = [row["full_text"] for row in texts]
    rates: dict[str, list[float]] = {name: [] for name in ("ours", "peer", "ours_busy", "peer_busy")}
    with Side(environment("presidio", own_torch=True), "peers/presidio_side.py", 1) as peer:
        version = peer.ask("version")["version"]
        for _ in range(REPEATS + 1):
            began, busy = time.perf_counter(), time.process_time()
            found = [find(text) for text in plain]
            spent = {"ours": time.perf_counter() - began, "ours_busy": time.process_time() - busy}
            answer = peer.ask("analyse", texts=plain) | spent
            for name, key in (("ours", "ours"), ("ours_busy", "ours_busy"), ("peer", "seconds"), ("peer_busy", "busy")):
                rates[name].append(len(plain) / answer[key])
    ratios = {
        clock: sorted(ours / theirs for ours, theirs in zip(rates[f"ours{clock}"][1:], rates[f"peer{clock}"][1:], strict=True))
        for clock in ("", "_busy")
    }  # the first of each reads its lists
    told = min(ratios.values(), key=statistics.median)
    spans = [[Finding(start, end, PEER_KINDS[kind], 1.0) for start, end, kind in row if kind in PEER_KINDS] for row in answer["spans"]]
    ours, theirs = (_side(rates, name, one) for name, one in (("ours", found), ("peer", spans)))
    return {
        "case": "anonymise-speed",
        "ratio": round(statistics.median(told), 2),
        "unit": "rows a second, ours over presidio's",
        "spread": [round(told[0], 2), round(told[-1], 2)],
        "repeats": REPEATS,
        "ours": ours
        | {"ratio_by_clock": round(statistics.median(ratios[""]), 2), "ratio_by_processor": round(statistics.median(ratios["_busy"]), 2)},
        "peer": theirs,
        "peer_version": f"presidio-analyzer {version}",
        "to_reach": 5,
    }


def _side(rates: dict[str, list[float]], name: str, found: Sequence[Spans]) -> dict[str, Any]:
    """Both rates of one side, and its shares on the measured half."""
    measured = rows(True)
    result = shares(tally(measured, found[: len(measured)]), None)
    return {
        "rows_a_second": round(statistics.median(rates[name][1:])),
        "rows_a_processor_second": round(statistics.median(rates[f"{name}_busy"][1:])),
        "recall": round(result["recall"], 4),
        "precision": round(result["precision"], 4),
    }
