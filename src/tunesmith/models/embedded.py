"""Run the decoder from embeddings instead of ids: what attributions need, which follow a path between two rows of embeddings.

Rows of one length side by side under the ordinary causal mask; differentiable. Virtual tokens stand before every row as in
`models.forward`. Costs a full pass: nothing is shared between rows.

Letters: B rows, T tokens of a row, D width.
"""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.models.forward import inner
from tunesmith.models.virtual import prefix_cache, virtual_states, virtual_tokens


def embed(model: nn.Module, ids_BT: Tensor) -> Tensor:
    """What the embedding layer makes of ids: [B, T, D]."""
    language_model: Any = inner(model)
    found: Tensor = language_model.get_input_embeddings()(ids_BT)
    return found


def takes_embeddings(model: nn.Module) -> bool:
    """Whether the architecture's decoder can be given embeddings."""
    language_model: Any = inner(model)
    return "inputs_embeds" in inspect.signature(language_model.get_decoder().forward).parameters


def states_of_embedded(model: nn.Module, embedded_BTD: Tensor) -> Tensor:
    """Last hidden states of rows given as embeddings, virtual tokens left out: [B, T, D]."""
    language_model: Any = inner(model)
    rows, tokens = embedded_BTD.shape[:2]
    virtual_ND, ahead = virtual_states(model), virtual_tokens(model)
    positions_BT = torch.arange(tokens, device=embedded_BTD.device).expand(rows, tokens) + ahead
    inputs: dict[str, Any] = {"use_cache": False}
    if virtual_ND is not None:
        first_BN = torch.arange(ahead, device=embedded_BTD.device).expand(rows, ahead)
        positions_BT = torch.cat([first_BN, positions_BT], dim=1)
        embedded_BTD = torch.cat([virtual_ND.expand(rows, *virtual_ND.shape), embedded_BTD], dim=1)
    elif (past := prefix_cache(model, rows)) is not None:
        seen_BT = torch.ones(rows, ahead + tokens, dtype=torch.long, device=embedded_BTD.device)
        inputs = {"past_key_values": past, "attention_mask": seen_BT, "use_cache": True}
    hidden: Tensor = language_model.get_decoder()(inputs_embeds=embedded_BTD, position_ids=positions_BT, **inputs).last_hidden_state
    return hidden[:, -tokens:]
