import pytest
import torch
from torch import nn

from conescope.capture import LayerCapture, unwrapped
from tests.samples import models


def inputs():
    ids = torch.randint(1, 20, (3, 7), generator=torch.Generator().manual_seed(0))
    mask = torch.ones(3, 7, dtype=torch.long)
    mask[1, 5:] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("make", [models.bert, models.gpt2, models.llama])
def test_hooks_equal_output_hidden_states(make):
    model = make().eval()
    with torch.no_grad():
        expected = model.base_model(**inputs(), output_hidden_states=True)
    layers = [*range(4), -1, -2, -4]
    with LayerCapture(model, layers) as capture, torch.no_grad():
        capture.arm()
        model(**inputs())
        found = capture.take()
    for layer, states in zip(layers, found, strict=True):
        torch.testing.assert_close(states, expected.hidden_states[layer])
    torch.testing.assert_close(found[layers.index(-1)], expected.last_hidden_state)


def test_hooks_are_gone_after_an_exception():
    model = models.bert()
    hooked = [model.base_model, model.base_model.encoder.layer[1]]

    def interrupted():
        with LayerCapture(model, (1, -1)):
            assert all(module._forward_hooks or module._forward_pre_hooks for module in hooked)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in hooked)


def test_gradient_checkpointing_keeps_the_states_of_the_first_pass():
    model = models.bert(dropout=0.1).train()
    settings = {"use_reentrant": False}
    if hasattr(model, "activation_checkpointing_enable"):  # the name since transformers 5
        model.activation_checkpointing_enable(settings)
    else:
        model.gradient_checkpointing_enable(settings)
    with LayerCapture(model, (1, -1)) as capture:
        capture.arm()
        torch.manual_seed(0)
        model(**inputs()).logits.sum().backward()  # runs the blocks a second time
        first, last = capture.take()
    assert first.requires_grad
    with LayerCapture(model, (1, -1)) as capture, torch.no_grad():
        capture.arm()
        torch.manual_seed(0)
        model(**inputs())
        again = capture.take()
    torch.testing.assert_close([first, last], again)


def test_compiled_and_wrapped_models_are_opened():
    model = models.bert().eval()
    compiled = torch.compile(model, backend="eager")
    assert unwrapped(compiled) is model
    assert unwrapped(nn.DataParallel(model)) is model
    with LayerCapture(compiled, (1, -1)) as capture, torch.no_grad():
        capture.arm()
        compiled(**inputs())
        found = capture.take()
        expected = model.base_model(**inputs(), output_hidden_states=True).hidden_states
    torch.testing.assert_close(found, [expected[1], expected[-1]])


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="layer must be one of 0 to 3, or -1 to -4 from the end, got 4"):
        LayerCapture(models.bert(), (4,))


def test_a_model_without_blocks_names_what_it_has():
    model = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"can not tell the blocks of Sequential.*found none; use layer -1"):
        LayerCapture(model, (0,))


def test_nothing_is_kept_before_arming():
    model = models.bert()
    with LayerCapture(model) as capture:
        model(**inputs())
        with pytest.raises(RuntimeError, match="no hidden state"):
            capture.take()
