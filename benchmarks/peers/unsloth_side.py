"""Unsloth's side, on CUDA: TRL's trainers as Unsloth replaces them, on a model that it loads. Its import must come first."""

from typing import Any

import unsloth  # isort: skip
import torch
import trl_side
from training.worker import serve


class UnslothSide(trl_side.Side):
    """As TRL's side, with the model made by FastLanguageModel."""

    def prepare(self, *asked: Any, **named: Any) -> dict[str, Any]:
        """Take a case up; the version is Unsloth's."""
        told = super().prepare(*asked, **named)
        return {"version": f"unsloth {unsloth.__version__}, {told['version']}"}

    def _model(self) -> torch.nn.Module:
        lora = self.case["method"] == "lora"
        model, _ = unsloth.FastLanguageModel.from_pretrained(
            f"{self.folder}/model", max_seq_length=2048, dtype=torch.bfloat16, load_in_4bit=False, full_finetuning=not lora
        )
        if not lora:
            return model
        targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        return unsloth.FastLanguageModel.get_peft_model(
            model,
            r=16,
            lora_alpha=32,
            lora_dropout=0.0,
            target_modules=targets,
            use_gradient_checkpointing=False,
            random_state=trl_side.SEED,
        )


if __name__ == "__main__":
    side = UnslothSide()
    serve({name: getattr(side, name) for name in ("prepare", "warm", "probe", "run")})
