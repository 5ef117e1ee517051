"""The parts of a block: in sum they are what the block returns, in models that differ in every name."""

import pytest
import torch
from torch import nn
from transformers import (
    AlbertConfig,
    AlbertModel,
    BertConfig,
    BertModel,
    BloomConfig,
    BloomModel,
    DistilBertConfig,
    DistilBertModel,
    GPT2Config,
    GPT2Model,
    GPTNeoXConfig,
    GPTNeoXModel,
    LlamaConfig,
    LlamaModel,
    MPNetConfig,
    MPNetModel,
    OPTConfig,
    OPTModel,
    Qwen3Config,
    Qwen3Model,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5EncoderModel,
    ViTConfig,
    ViTModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
    WhisperConfig,
    WhisperModel,
)

from conescope.capture import Place, Taps, stacks
from conescope.capture.example import example_of, repeated
from conescope.capture.feeding import fed
from conescope.capture.parts import parts

TEXT = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
}
BUILT = {
    "bert": lambda: BertModel(BertConfig(**TEXT)),
    "roberta": lambda: RobertaModel(RobertaConfig(**TEXT)),
    "mpnet": lambda: MPNetModel(MPNetConfig(**TEXT)),
    "distilbert": lambda: DistilBertModel(
        DistilBertConfig(vocab_size=40, dim=32, n_layers=2, n_heads=4, hidden_dim=48)
    ),
    "albert": lambda: AlbertModel(AlbertConfig(**TEXT, embedding_size=16)),
    "gpt2": lambda: GPT2Model(GPT2Config(vocab_size=40, n_embd=32, n_layer=2, n_head=4, n_positions=40)),
    "llama": lambda: LlamaModel(LlamaConfig(**TEXT)),
    "qwen3": lambda: Qwen3Model(Qwen3Config(**TEXT, num_key_value_heads=2, head_dim=8)),
    "gpt_neox": lambda: GPTNeoXModel(GPTNeoXConfig(**TEXT, use_parallel_residual=False)),
    "opt": lambda: OPTModel(
        OPTConfig(
            vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=48,
            max_position_embeddings=40, word_embed_proj_dim=32,
        )
    ),
    "bloom": lambda: BloomModel(BloomConfig(vocab_size=40, hidden_size=32, n_layer=2, n_head=4)),
    "t5": lambda: T5EncoderModel(
        T5Config(vocab_size=40, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4)
    ),
    "vit": lambda: ViTModel(
        ViTConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=12,
            patch_size=4,
        )
    ),
    "wav2vec2": lambda: Wav2Vec2Model(
        Wav2Vec2Config(
            vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
            conv_dim=(16, 16), conv_stride=(5, 4), conv_kernel=(10, 4), num_conv_pos_embeddings=4,
            num_conv_pos_embedding_groups=2,
        )
    ),
    "whisper": lambda: WhisperModel(
        WhisperConfig(
            vocab_size=40, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
            decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, num_mel_bins=8,
            max_source_positions=20, max_target_positions=20, pad_token_id=0, bos_token_id=1, eos_token_id=2,
            decoder_start_token_id=1,
        )
    ),
}  # fmt: skip
AFTER_THE_SUM = {  # normalizations of x + attention and of that + MLP, by their names
    "bert": ("attention.output.LayerNorm", "output.LayerNorm"),
    "roberta": ("attention.output.LayerNorm", "output.LayerNorm"),
    "mpnet": ("attention.LayerNorm", "output.LayerNorm"),
    "distilbert": ("sa_layer_norm", "output_layer_norm"),
    "albert": ("attention.LayerNorm", "full_layer_layer_norm"),
    "opt": (),
    "wav2vec2": ("layer_norm", "final_layer_norm"),
}


def first_block(name):
    torch.manual_seed(0)
    model = BUILT[name]().eval()
    if name == "albert":
        return model, model.encoder.albert_layer_groups[0].albert_layers[0]
    return model, stacks(model)[0].blocks[0]


def passed(model, block, found):
    """Return what goes into the block and comes out of it and of its parts, in the first pass."""
    seen = {}
    places = [Place(block, before=False), *(Place(part.exit, before=False) for part in found)]

    def given(number, states):
        seen.setdefault("given", states)

    with fed([block], given), Taps(places, lambda place, states: seen.setdefault(place, states)):
        model(**repeated(example_of(model, 7), 2))
    return seen["given"], seen[0], seen[1], seen[2]


@pytest.mark.parametrize("name", BUILT)
@torch.no_grad()
def test_parts_add_up_to_the_block(name):
    model, block = first_block(name)
    found = parts(block)
    # All weights away from their first values, so that biases and normalizations count.
    for weights in block.parameters():
        weights.add_(0.1 * torch.randn_like(weights))
    given, returned, attention, mlp = passed(model, block, found)
    inner, outer = (
        map(block.get_submodule, AFTER_THE_SUM[name]) if AFTER_THE_SUM.get(name) else (nn.Identity(),) * 2
    )
    attention, mlp = attention.reshape(given.shape), mlp.reshape(given.shape)
    torch.testing.assert_close(outer(inner(given + attention) + mlp), returned, atol=1e-5, rtol=1e-4)
    assert attention.abs().max() > 0.01
    assert mlp.abs().max() > 0.01


def test_attention_to_the_encoder_is_no_self_attention():
    torch.manual_seed(0)
    block = BUILT["whisper"]().decoder.layers[0]
    assert parts(block).attention.entry is block.self_attn
    model = BertModel(BertConfig(**TEXT, is_decoder=True, add_cross_attention=True))
    block = model.encoder.layer[0]
    assert parts(block).attention.exit is block.attention.output.dense
    assert parts(block).mlp.exit is block.output.dense


def test_block_of_torch():
    block = nn.TransformerEncoderLayer(8, 2, 16)
    found = parts(block)
    assert (found.attention.entry, found.attention.exit) == (block.self_attn, block.self_attn)
    assert (found.mlp.entry, found.mlp.exit) == (block.linear1, block.linear2)


def test_a_block_without_parts_has_none():
    assert parts(nn.Sequential(nn.Linear(2, 2), nn.ReLU())) == (None, None)


def test_fed_replaces_and_leaves_nothing_behind():
    block = nn.Linear(2, 2, bias=False)
    nn.init.eye_(block.weight)
    given = torch.ones(1, 2)
    with fed([block], lambda number, states: 3 * states):
        assert block(given).tolist() == [[3, 3]]
        assert block(input=given).tolist() == [[3, 3]]
    assert block(given).tolist() == [[1, 1]]
    with fed([block], lambda number, states: None):
        assert block(given).tolist() == [[1, 1]]
    with pytest.raises(RuntimeError, match="stop"), fed([block], lambda number, states: 3 * states):
        raise RuntimeError("stop")
    assert not block._forward_pre_hooks
    with (
        fed([block], lambda number, states: None),
        pytest.raises(ValueError, match="no tensor of real numbers"),
    ):
        block(torch.ones(1, 2, dtype=torch.int64))


def test_example_needs_a_model_that_says_what_it_takes():
    with pytest.raises(ValueError, match="pass example="):
        example_of(nn.Linear(2, 2), 4)
    model = BUILT["bert"]()
    assert example_of(model, 7)["input_ids"].shape == (1, 7)
    assert example_of(model, 1000)["input_ids"].shape == (1, 38)
    assert (example_of(model, 7)["input_ids"] != model.config.pad_token_id).all()
