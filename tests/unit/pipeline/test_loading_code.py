"""The code that a model card shows runs, and answers what tunesmith answers: every kind of model, from its folder alone."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tunesmith.chat.labels import label_texts
from tunesmith.chat.render import Renderer
from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.ready import load_ready
from tunesmith.evaluate.systems import Answerer
from tunesmith.evaluate.written import Sure
from tunesmith.infer.decoding import Decoding
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.heads import Headed
from tunesmith.models.load import load_base
from tunesmith.models.methods import adapt
from tunesmith.models.package import Bundle, load_model, model_digest, save_model
from tunesmith.pipeline.describing import loading_of
from tunesmith.report.loading import plain_code, tunesmith_code
from tunesmith.report.model_card import Origin, model_card
from tunesmith.score.calibrated import Calibration, applied
from tunesmith.score.calibrators.platt import Platt
from tunesmith.score.chances import JUDGED

LABELS = ("big_box", "lost", "wrong")
TEXT = "Where is my parcel? It has a dent."
Saved = Callable[..., tuple[Path, Renderer]]


@pytest.fixture
def saved(tmp_path: Path, tiny_base: Path) -> Saved:
    """Saves a tiny model that was moved away from its base: (task, method, head=None, **bundle) -> folder, renderer."""

    def call(task: str, method: str, head: Any = None, **held: Any) -> tuple[Path, Renderer]:
        config = BaseConfig(path=str(tiny_base), new_tokens=held.pop("new_tokens", ()))
        base = load_base(config)
        settings = MethodConfig(name=method, head=head, pool=held.pop("pool", "mean"))  # type: ignore[arg-type]
        outputs = 1 + 2 * len(LABELS) if head == "tags" else len(LABELS)
        model = adapt(base.model, settings, parameters=10, labels=outputs, seed=0, new_ids=base.new_ids)
        torch.manual_seed(1)
        with torch.no_grad():
            for one in model.parameters():
                if one.requires_grad:
                    one.add_(0.3 * torch.randn_like(one))
        if isinstance(model, Headed) and model.kind == "regression":
            model.head.measure([3.0, 5.0])
        labels = LABELS if task in ("classify", "multilabel", "tag") else None
        texts = label_texts(labels or (), words=True)
        more = {"base": config.model_dump(mode="json"), "labels": labels, "label_texts": texts, "head": head is not None, "max_tokens": 256}
        folder = tmp_path / "model"
        folder.mkdir()
        save_model(folder, model, base.tokenizer, Bundle(task=task, method=method, max_new_tokens=6, **more | held))
        return folder, Renderer(base.tokenizer, max_tokens=256, label_texts=texts, new_tokens=config.new_tokens)

    return call


def printed(code: str, folder: Path, base: Path) -> str:
    """What the code prints, asked about TEXT from that folder."""
    code = code.replace('Path(".")', repr(folder)).replace('"What the model is asked"', repr(TEXT)).replace("path/to/the/base", str(base))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "card", "exec"), {"PosixPath": Path})
    return out.getvalue().strip()


@pytest.mark.parametrize(
    ("task", "method", "head", "more"),
    [
        ("classify", "full", None, {"instruction": "Say what it is about."}),
        ("classify", "lora", None, {}),
        ("classify", "pissa", None, {}),
        ("classify", "prompt", None, {}),
        ("classify", "prefix", None, {}),
        ("classify", "lora", None, {"new_tokens": ("<dent>",)}),
        ("generate", "full", None, {}),
        ("generate", "dora", None, {"instruction": "Answer."}),
        ("classify", "full", "class", {}),
        ("classify", "lora", "class", {"pool": "attention"}),
        ("classify", "features", "class", {"pool": "last"}),
        ("multilabel", "lora", "multilabel", {}),
        ("regress", "full", "regression", {}),
    ],
)
def test_both_ways_of_loading_answer_the_same(
    saved: Saved, tiny_base: Path, task: str, method: str, head: Any, more: dict[str, Any]
) -> None:
    folder, renderer = saved(task, method, head, **more)
    loading = loading_of(folder, renderer)
    code = plain_code(loading, None)
    assert code is not None and loading.head == head
    ours, plain = printed(tunesmith_code(), folder, tiny_base), printed(code, folder, tiny_base)
    if head == "regression":
        assert float(plain) == pytest.approx(float(ours.split()[0]), abs=1e-3)
    elif head == "multilabel":
        assert plain == str([label for label in LABELS if label in ours])
    elif task == "classify":
        assert plain == ours.split()[0] and plain in LABELS
    else:
        assert plain and ours == f"{plain} None"


def test_tags_are_told_for_every_token(saved: Saved, tiny_base: Path) -> None:
    folder, renderer = saved("tag", "full", "tags")
    loading = loading_of(folder, renderer)
    code = plain_code(loading, None)
    assert code is not None
    told = eval(printed(code, folder, tiny_base))
    assert "".join(text for text, _ in told).count(TEXT) == 1
    assert {tag for _, tag in told} <= {"O", *(f"{mark}-{label}" for label in LABELS for mark in "BI")}
    assert printed(tunesmith_code(), folder, tiny_base)


def test_a_base_without_a_template_is_asked_as_it_was_trained(saved: Saved, tiny_base: Path) -> None:
    folder, _ = saved("classify", "full")
    for file in (*folder.glob("*.jinja"),):
        file.unlink()
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(folder)
    renderer = Renderer(AutoTokenizer.from_pretrained(folder), max_tokens=256)
    assert not renderer.has_own_template
    loading = loading_of(folder, renderer)
    code = plain_code(loading, None)
    assert code is not None and "chat_template=template" in code
    assert printed(code, folder, tiny_base) == printed(tunesmith_code(), folder, tiny_base).split()[0]


def test_what_plain_libraries_can_not_make_again_has_no_code_for_them(saved: Saved) -> None:
    folder, renderer = saved("classify", "lora", base={"path": "embedded", "random_weights": True})
    assert plain_code(loading_of(folder, renderer), None) is None


def test_the_placeholder_of_peft_does_not_linger_and_a_card_is_no_part_of_the_model(saved: Saved) -> None:
    folder, _ = saved("classify", "lora")
    assert (folder / "adapter_config.json").is_file() and not (folder / "README.md").exists()
    before = model_digest(folder)
    (folder / "README.md").write_text("A card.")
    assert model_digest(folder) == before
    (folder / "notes.md").write_text("Not a card.")
    assert model_digest(folder) != before


@pytest.mark.parametrize("samples", [0, 3])
def test_written_answers_have_the_corrected_confidence_of_the_round(saved: Saved, tiny_base: Path, samples: int) -> None:
    sure = Sure(samples=samples, seed=7)
    calibration = Calibration(labels=JUDGED, judged=True, calibrator=Platt(slope=0.5, offset=-1.0), risk=None, threshold=None, rows=50)
    folder, renderer = saved("generate", "full", calibration=calibration.to_json(), sureness=sure.to_json())
    model = load_model(folder)[0]
    bare = Answerer(model, renderer, torch.device("cpu"), None, max_new_tokens=6, sure=sure)
    (before,) = bare.answer([Row(id="1", prompt=(Message("user", TEXT),))])
    (after,) = applied([before], calibration)
    assert after.confidence is not None and after.confidence != before.confidence
    assert printed(tunesmith_code(), folder, tiny_base) == f"{after.answer} {after.confidence}"


def test_answers_keep_to_what_they_were_evaluated_with(saved: Saved, tiny_base: Path) -> None:
    folder, renderer = saved("generate", "full", decoding=Decoding(kind="choices", keeps_to=["yes", "no"]).to_json())
    loading = loading_of(folder, renderer)
    assert loading.decoded and "evaluated with the `decoding`" in model_card({"schema": 1, "round": {"id": "r-0"}}, Origin(), loading)
    assert printed(tunesmith_code(), folder, tiny_base) in ("yes None", "no None")


def test_the_renderer_of_a_saved_model_is_the_one_it_was_made_with(saved: Saved) -> None:
    folder, renderer = saved("classify", "lora", new_tokens=("<dent>",))
    again = load_ready(folder).renderer
    row = Row(id="1", prompt=(Message("user", f"A <dent> {TEXT}"),), answer="big_box")
    assert again.prompt(row.prompt).ids == renderer.prompt(row.prompt).ids
    assert [again.answer(label) for label in LABELS] == [renderer.answer(label) for label in LABELS]
