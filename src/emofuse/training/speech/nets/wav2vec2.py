"""Pretrained speech encoders (wav2vec 2.0, HuBERT and their kin) with a linear head."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ....errors import InputError, MissingExtra
from ...core.nets import NetKind
from .base import AttentiveStatistics, SpeechNetBase, check_rate, check_sizes, head

_KINDS = ("wav2vec2", "hubert", "wavlm", "data2vec-audio", "unispeech", "unispeech-sat")


class Freeze(str, Enum):
    """Which part of an encoder keeps its pretrained weights."""

    NOTHING = "nothing"
    FEATURES = "features"
    ENCODER = "encoder"

    def __str__(self) -> str:
        return self.value


class Pooling(str, Enum):
    """How the moments of a window become one embedding.

    ``MEAN``: their mean; ``ATTENTIVE``: mean and deviation under learned attention.
    """

    MEAN = "mean"
    ATTENTIVE = "attentive"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Wav2Vec2Config:
    """What `Wav2Vec2Classifier` is made of.

    Args:
        labels: number of classes.
        encoder: folder with ``config.json`` and ``model.safetensors``, or
            ``id@revision`` on the Hugging Face hub; the revision (a commit) is
            needed, so that the same words always mean the same weights.
        freeze: ``features`` leaves the convolutions before the transformer as they
            are, as is usual; ``encoder`` trains the head alone.
        pooling: how moments become one embedding.
        blend: average all layers with learned weights instead of taking the last;
            the middle ones know most about how something was said.
        dropout: probability of dropping a value before the classifier.
        rate: of the waveforms in Hz; these encoders are made for 16 kHz.
    """

    labels: int
    encoder: str
    freeze: Freeze = Freeze.FEATURES
    pooling: Pooling = Pooling.MEAN
    blend: bool = False
    dropout: float = 0.3
    rate: int = 16_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "encoder", str(self.encoder))
        object.__setattr__(self, "freeze", Freeze(self.freeze))
        object.__setattr__(self, "pooling", Pooling(self.pooling))
        check_sizes(self, "labels")
        check_rate(self.rate)
        if not self.encoder:
            raise ValueError("name an encoder: a folder, or id@revision on the Hugging Face hub")


class Wav2Vec2Classifier(SpeechNetBase):
    """A pretrained encoder of waveforms, pooling over time, and a linear head.

    Baevski et al. 2020, wav2vec 2.0, arXiv:2006.11477; Hsu et al. 2021, HuBERT,
    arXiv:2106.07447; used for emotions as in Pepino et al. 2021, arXiv:2104.03502,
    whence also the weighted average of the layers. Takes standardised waveforms of
    16 kHz (`Features.WAVEFORM`).

    Args:
        config: what it is made of.

    Raises:
        InputError: if the encoder cannot be had or is of another kind.
        MissingExtra: if transformers is not installed.
    """

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        self.encoder = load_encoder(config.encoder)
        size, depth = self.encoder.config.hidden_size, self.encoder.config.num_hidden_layers
        self.pool = AttentiveStatistics(size) if config.pooling is Pooling.ATTENTIVE else _Mean()
        self.blend = nn.Parameter(torch.zeros(depth + 1)) if config.blend else None
        self.width = size if config.pooling is Pooling.MEAN else 2 * size
        self.classify = head(self.width, config.labels, config.dropout)
        if config.freeze is Freeze.FEATURES:
            self.encoder.feature_extractor.requires_grad_(False)
        elif config.freeze is Freeze.ENCODER:
            self.encoder.requires_grad_(False)
            self.frozen_encoder = config.pooling is Pooling.MEAN and not config.blend

    def embed(self, waveforms: Tensor) -> Tensor:
        """Return embeddings (batch, width) of standardised waveforms (batch, samples)."""
        out = self.encoder(waveforms, output_hidden_states=self.blend is not None)
        moments = out.last_hidden_state
        if self.blend is not None:
            layers = torch.stack(tuple(out.hidden_states), dim=3).float()
            moments = layers @ self.blend.softmax(dim=0)
        pooled: Tensor = self.pool(moments.transpose(1, 2))
        return pooled


class _Mean(nn.Module):
    def forward(self, moments: Tensor) -> Tensor:
        return moments.float().mean(dim=2)


def load_encoder(name: str) -> Any:
    """Load an encoder of waveforms through transformers, from safetensors only.

    Random masking and layer skipping, which belong to its pretraining, are switched
    off: augmentation is the trainer's.

    Args:
        name: a folder, or ``id@revision``.

    Raises:
        InputError: if it cannot be had, has no safetensors, or is of another kind.
        MissingExtra: if transformers is not installed.
    """
    try:
        from transformers import AutoConfig, AutoModel
    except ImportError as e:
        raise MissingExtra("hub", "a pretrained speech encoder") from e
    where, revision = _place(name)
    more = {} if revision is None else {"revision": revision}
    try:
        shape = AutoConfig.from_pretrained(where, **more)
        if shape.model_type not in _KINDS:
            raise InputError(
                f"the encoder {name!r} is a {shape.model_type!r}, expected one of waveforms: "
                f"{', '.join(_KINDS)}"
            )
        shape.update({"layerdrop": 0.0, "apply_spec_augment": False})
        encoder = AutoModel.from_pretrained(
            where, config=shape, use_safetensors=True, attn_implementation="eager", **more
        )
    except (OSError, ValueError) as e:
        reason = str(e).strip().splitlines()[0]
        raise InputError(
            f"cannot load the encoder {name!r}: {reason}; expected a folder with config.json and "
            "model.safetensors, or id@revision of one on the Hugging Face hub"
        ) from e
    return encoder.float()  # some are published in half precision


def _place(name: str) -> tuple[str, str | None]:
    """Folder and None, or hub id and revision."""
    if Path(name).expanduser().is_dir():
        return str(Path(name).expanduser()), None
    where, at, revision = name.partition("@")
    if not at or not revision or where.count("/") != 1:
        raise InputError(
            f"no encoder at {name!r}: expected a folder, or id@revision (a commit's hash) of a "
            "model on the Hugging Face hub"
        )
    return where, revision


WAV2VEC2 = NetKind(
    "wav2vec2",
    "pretrained wav2vec 2.0 or HuBERT encoder with a linear head (Pepino et al. 2021)",
    Wav2Vec2Config,
    Wav2Vec2Classifier,
    {"features": "waveform"},
)
