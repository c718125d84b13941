"""CLIP's vision tower written out, layer by layer, with what the prompts do inside its attention."""

import torch
from torch import Tensor
from torch.nn.functional import normalize
from transformers import CLIPModel


def full_mask(rows: Tensor, form: str) -> Tensor:
    """(views, 1, tokens, tokens): the bias as a matrix added to the attention logits."""
    mask = torch.zeros(len(rows), 1, rows.shape[1], rows.shape[1])
    if form == "cls_row":
        mask[:, 0, 0] = rows
    elif form == "all_rows":
        mask[:, 0] = rows[:, None]
    else:
        mask[:, 0] = torch.diag_embed(rows)
    return mask


@torch.inference_mode()
def biased(model: CLIPModel, pixels: Tensor, rows: Tensor, layers, form: str = "cls_row") -> Tensor:
    """Embeddings with transformers' own layers, the bias handed to each as its attention mask."""
    vision = model.vision_model
    hidden = vision.pre_layrnorm(vision.embeddings(pixels))
    for i, layer in enumerate(vision.encoder.layers):
        hidden = layer(hidden, full_mask(rows, form) if i in layers else None)
    return normalize(model.visual_projection(vision.post_layernorm(hidden[:, 0])), dim=-1)


@torch.inference_mode()
def operated(
    model: CLIPModel,
    pixels: Tensor,
    plain_pixels: Tensor,
    layers,
    kind: str,
    bias: tuple[Tensor, tuple[int, ...]] | None = None,
    keep: Tensor | None = None,
) -> Tensor:
    """Embeddings under an intervention: a prompted and an independent plain pass side by side, head by head."""
    vision = model.vision_model
    hidden, plain = (vision.pre_layrnorm(vision.embeddings(p)) for p in (pixels, plain_pixels))
    for i, layer in enumerate(vision.encoder.layers):
        mask = full_mask(bias[0], "cls_row") if bias and i in bias[1] else None
        q, k, v = _heads(layer, hidden)
        q0, k0, v0 = _heads(layer, plain)
        here = kind if i in layers else ""
        if here == "replace_v":
            v = v0
        if here == "replace_qk":
            q, k = q0, k0
        if here == "feature_mask":
            assert keep is not None
            v = [head * keep[:, :, None] for head in v]
        by_head, plain_by_head = _outputs(layer, q, k, v, mask), _outputs(layer, q0, k0, v0, None)
        if here == "unleash":
            for g1, g in zip(by_head, plain_by_head, strict=True):
                g1[:, 0] = g1[:, 0] + (g1[:, 0] - g[:, 0])
        hidden, plain = _rest(layer, hidden, by_head), _rest(layer, plain, plain_by_head)
    return normalize(model.visual_projection(vision.post_layernorm(hidden[:, 0])), dim=-1)


def _heads(layer, hidden: Tensor) -> list[list[Tensor]]:
    attention, normed = layer.self_attn, layer.layer_norm1(hidden)
    projected = (attention.q_proj(normed), attention.k_proj(normed), attention.v_proj(normed))
    return [list(part.chunk(attention.num_heads, dim=-1)) for part in projected]


def _outputs(layer, q, k, v, mask: Tensor | None) -> list[Tensor]:
    """What each head adds to the residual stream, without the bias of the output projection."""
    size, weight = q[0].shape[-1], layer.self_attn.out_proj.weight
    outputs = []
    for h in range(len(q)):
        logits = q[h] @ k[h].transpose(1, 2) / size**0.5
        weights = (logits if mask is None else logits + mask[:, 0]).softmax(-1)
        outputs.append(weights @ v[h] @ weight[:, h * size : (h + 1) * size].T)
    return outputs


def _rest(layer, hidden: Tensor, by_head: list[Tensor]) -> Tensor:
    hidden = hidden + sum(by_head) + layer.self_attn.out_proj.bias
    return hidden + layer.mlp(layer.layer_norm2(hidden))
