"""Random models in open_clip's layout, and what torch's own modules make of their weights."""

import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from random_clip import CONTEXT, WORDS, tokenizer
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

EMBED, TEXT_WIDTH, WIDTH, SIDE = 24, 32, 64, 96
RESNET_LAYERS, RESNET_WIDTH = (1, 2, 1, 1), 8
ORDERED = [word for word in WORDS if word != "<eos>"] + ["<eos>"]  # open_clip pools at the largest token
PREPROCESS = {
    "mean": [0.5, 0.4, 0.3], "std": [0.3, 0.25, 0.2], "interpolation": "bicubic", "resize_mode": "shortest",
}  # fmt: skip


class QuickGelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    def __init__(self, width: int, heads: int, activation: nn.Module) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        inner = (("c_fc", nn.Linear(width, 4 * width)), ("gelu", activation), ("c_proj", nn.Linear(4 * width, width)))
        self.mlp = nn.Sequential(OrderedDict(inner))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, width: int, heads: int, layers: int, activation: nn.Module) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, heads, activation) for _ in range(layers))


class Vit(nn.Module):
    def __init__(self, layers: int, heads: int, activation: nn.Module) -> None:
        super().__init__()
        self.heads = heads
        self.conv1 = nn.Conv2d(3, WIDTH, 16, stride=16, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(WIDTH))
        self.positional_embedding = nn.Parameter(torch.randn(1 + (SIDE // 16) ** 2, WIDTH))
        self.ln_pre, self.ln_post = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.transformer = Transformer(WIDTH, heads, layers, activation)
        self.proj = nn.Parameter(torch.randn(WIDTH, EMBED))

    def forward(self, pixels: Tensor, rows: Tensor | None = None, layers=()) -> Tensor:
        x = self.conv1(pixels).flatten(2).mT
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], 1) + self.positional_embedding
        x = self.ln_pre(x)
        mask = None
        if rows is not None:
            mask = torch.zeros(len(x), x.shape[1], x.shape[1])
            mask[:, 0] = rows
            mask = mask.repeat_interleave(self.heads, 0)
        for i, block in enumerate(self.transformer.resblocks):
            x = block(x, mask if i in layers else None)
        return self.ln_post(x[:, 0]) @ self.proj


class Resnet(nn.Module):
    """The weights of a ResNet by their names, and what `torch.nn.functional` makes of them."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        half, width = RESNET_WIDTH // 2, RESNET_WIDTH
        for i, (channels, planes) in enumerate(((3, half), (half, half), (half, width)), 1):
            self.add_module(f"conv{i}", nn.Conv2d(channels, planes, 3, bias=False))
            self.add_module(f"bn{i}", nn.BatchNorm2d(planes))
        channels = width
        for stage, blocks in enumerate(RESNET_LAYERS):
            planes, made = width * 2**stage, []
            for block in range(blocks):
                parts = {"conv1": nn.Conv2d(channels, planes, 1, bias=False), "bn1": nn.BatchNorm2d(planes)}
                parts |= {"conv2": nn.Conv2d(planes, planes, 3, bias=False), "bn2": nn.BatchNorm2d(planes)}
                parts |= {"conv3": nn.Conv2d(planes, 4 * planes, 1, bias=False), "bn3": nn.BatchNorm2d(4 * planes)}
                if block == 0:
                    shortcut = nn.Conv2d(channels, 4 * planes, 1, bias=False), nn.BatchNorm2d(4 * planes)
                    parts["downsample"] = nn.Sequential(*shortcut)
                made.append(nn.ModuleDict(parts))
                channels = 4 * planes
            self.add_module(f"layer{stage + 1}", nn.ModuleList(made))
        projections = {name: nn.Linear(channels, channels) for name in ("q_proj", "k_proj", "v_proj")}
        self.attnpool = nn.ModuleDict({**projections, "c_proj": nn.Linear(channels, EMBED)})
        positions = nn.Parameter(torch.randn(1 + (SIDE // 32) ** 2, channels))
        self.attnpool.register_parameter("positional_embedding", positions)

    def _step(self, place: str, x: Tensor, number: int | str, **options: int) -> Tensor:
        own = self.state_dict()
        x = F.conv2d(x, own[f"{place}conv{number}.weight"], **options)
        return self._norm(f"{place}bn{number}.", x)

    def _norm(self, place: str, x: Tensor) -> Tensor:
        own = self.state_dict()
        return F.batch_norm(x, *(own[place + name] for name in ("running_mean", "running_var", "weight", "bias")))

    def forward(self, pixels: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features (views, D), and the attention of the mean token (views, heads, tokens)."""
        x = self._step("", pixels, 1, stride=2, padding=1).relu()
        x = self._step("", x, 2, padding=1).relu()
        x = F.avg_pool2d(self._step("", x, 3, padding=1).relu(), 2)
        own = self.state_dict()
        for stage, blocks in enumerate(RESNET_LAYERS, 1):
            for block in range(blocks):
                place = f"layer{stage}.{block}."
                stride = 2 if stage > 1 and block == 0 else 1
                inner = self._step(place, self._step(place, x, 1).relu(), 2, padding=1).relu()
                inner = self._step(place, F.avg_pool2d(inner, stride), 3)
                if block == 0:
                    x = F.conv2d(F.avg_pool2d(x, stride), own[place + "downsample.0.weight"])
                    x = self._norm(place + "downsample.1.", x)
                x = (inner + x).relu()
        return self._pooled(x.flatten(2).permute(2, 0, 1), rows)

    def _pooled(self, grid: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        own = {name.removeprefix("attnpool."): tensor for name, tensor in self.state_dict().items()}
        x = torch.cat([grid.mean(0, keepdim=True), grid]) + own["positional_embedding"][:, None]
        mask = None
        if rows is not None:
            mask = torch.zeros(x.shape[1], len(x), len(x))
            mask[:, 0] = rows
            mask = mask.repeat_interleave(self.heads, 0)
        biases = torch.cat([own[f"{name}_proj.bias"] for name in "qkv"])
        output, weights = F.multi_head_attention_forward(
            x, x, x, x.shape[-1], self.heads, None, biases, None, None, False, 0.0, own["c_proj.weight"],
            own["c_proj.bias"], training=False, attn_mask=mask, use_separate_proj_weight=True,
            q_proj_weight=own["q_proj.weight"], k_proj_weight=own["k_proj.weight"], v_proj_weight=own["v_proj.weight"],
            average_attn_weights=False,
        )  # fmt: skip
        assert weights is not None
        return output[0], weights[:, :, 0]


class OpenClip(nn.Module):
    def __init__(self, visual: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.visual = visual
        self.transformer = Transformer(TEXT_WIDTH, 2, 2, activation)
        self.token_embedding = nn.Embedding(len(WORDS), TEXT_WIDTH)
        self.positional_embedding = nn.Parameter(torch.randn(CONTEXT, TEXT_WIDTH))
        self.ln_final = nn.LayerNorm(TEXT_WIDTH)
        self.text_projection = nn.Parameter(torch.randn(TEXT_WIDTH, EMBED))
        self.logit_scale = nn.Parameter(torch.tensor(3.0))

    def text(self, ids: Tensor) -> Tensor:
        x = self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]]
        causal = torch.full((ids.shape[1],) * 2, float("-inf")).triu(1)
        for block in self.transformer.resblocks:
            x = block(x, causal)
        return self.ln_final(x)[torch.arange(len(x)), ids.argmax(-1)] @ self.text_projection


def write_open_clip(folder: Path, kind: str = "vit", quick_gelu: bool = True, head_width: int = 16) -> OpenClip:
    """Writes a random model, "vit" or "resnet", and returns the reference with its weights."""
    torch.manual_seed(0)
    activation = QuickGelu() if quick_gelu else nn.GELU()
    if kind == "vit":
        visual, vision = Vit(6, WIDTH // head_width, activation), {"layers": 6, "width": WIDTH, "patch_size": 16}
    else:
        visual = Resnet(RESNET_WIDTH * 32 // head_width)
        vision = {"layers": list(RESNET_LAYERS), "width": RESNET_WIDTH, "patch_size": None}
    model = OpenClip(visual, activation).eval()
    for name, tensor in model.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            tensor.normal_(std=0.1)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim > 1 and "norm" not in name and "positional" not in name:
            tensor.normal_(std=1.3 * tensor[0].numel() ** -0.5)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    text = {"context_length": CONTEXT, "vocab_size": len(WORDS), "width": TEXT_WIDTH, "heads": 2, "layers": 2}
    model_cfg = {
        "embed_dim": EMBED, "quick_gelu": quick_gelu,
        "vision_cfg": {"image_size": SIDE, "head_width": head_width, **vision}, "text_cfg": text,
    }  # fmt: skip
    config = {"model_cfg": model_cfg, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    tokenizer(ORDERED).save_pretrained(folder)
    return model


def pixels_of(image) -> torch.Tensor:
    """A picture as the models take it, squashed."""
    values = np.asarray(image.resize((SIDE, SIDE), 3), dtype=np.float64) / 255
    normal = (values - PREPROCESS["mean"]) / PREPROCESS["std"]
    return torch.from_numpy(normal).permute(2, 0, 1)[None].float()


def difference(a, b) -> float:
    """The largest, of two tensors of one shape."""
    assert a.shape == b.shape
    return (a - b).abs().max().item()
