import pytest
import torch
import transformers
from torch import nn

from conescope.capture import stacks, unwrapped

SMALL = {
    "vocab_size": 30,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}


def test_an_encoder_and_a_decoder_are_told_apart():
    config = transformers.T5Config(
        vocab_size=30, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_decoder_layers=3, num_heads=4
    )
    model = transformers.T5Model(config)
    found = stacks(model)
    assert [(stack.name, len(stack.blocks)) for stack in found] == [("encoder", 2), ("decoder", 3)]
    assert found[0].names == ("encoder.block.0", "encoder.block.1")
    assert found[0].blocks[1] is model.encoder.block[1]
    assert found[0].ends == (model.encoder,)  # what lies around both ends neither


def test_blocks_that_are_shared_are_one_stack_of_one():
    model = transformers.AlbertModel(transformers.AlbertConfig(**SMALL, embedding_size=16))
    (stack,) = stacks(model)
    assert stack.names == ("encoder.albert_layer_groups.0",)


def test_convolutions_that_sense_are_no_blocks():
    config = transformers.Wav2Vec2Config(
        **SMALL, conv_dim=(8, 8), conv_kernel=(4, 4), conv_stride=(2, 2), num_conv_pos_embedding_groups=4
    )
    (stack,) = stacks(transformers.Wav2Vec2Model(config))  # two of them, as many as there are blocks
    assert stack.names == ("encoder.layers.0", "encoder.layers.1")


def test_wrappers_are_looked_through():
    model = nn.Module()
    model.layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    assert unwrapped(nn.DataParallel(model)) is model
    assert unwrapped(torch.compile(model, backend="eager")) is model
    (stack,) = stacks(torch.compile(model, backend="eager"))
    assert stack.blocks == tuple(model.layers)


def test_modules_by_name_make_one_stack():
    model = nn.Module()
    model.layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    model.head = nn.Linear(2, 1)
    (stack,) = stacks(model, ["head", "layers"])
    assert stack.names == ("head", "layers.0", "layers.1")
    assert stack.blocks == (model.head, *model.layers)
    with pytest.raises(ValueError, match=r"there is no module 'tail' in Module; there are layers, layers\.0"):
        stacks(model, ["tail"])
    with pytest.raises(ValueError, match="name at least one module"):
        stacks(model, [])


def test_modules_of_different_classes_are_no_stack():
    model = nn.Module()
    model.parts = nn.ModuleList([nn.Linear(2, 2), nn.ReLU()])
    with pytest.raises(
        ValueError, match=r"found no list of blocks in Module; .* among parts, parts\.0, parts\.1"
    ):
        stacks(model)
