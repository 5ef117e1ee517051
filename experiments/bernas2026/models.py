"""The four models: two that begin with random weights, two that were trained before."""

from experiments.bernas2026.corpus import END, PAD
from experiments.godey2023.models import folder_of

ATTENTION = "eager"  # the fused one spends a quarter of a step of the decoder in its backward pass on a CPU


def decoder(types, size, length):
    """Return a causal language model (Llama) with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=types,
            hidden_size=size.hidden,
            intermediate_size=3 * size.hidden,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            num_key_value_heads=size.heads,
            max_position_embeddings=length,
            tie_word_embeddings=True,
            attn_implementation=ATTENTION,
            pad_token_id=PAD,
            bos_token_id=END,
            eos_token_id=END,
        )
    )


def bert(kind, types, size, length, **further):
    """Return a BERT with random weights and without dropout, which the decoder does not have either."""
    from transformers import BertConfig

    return kind(
        BertConfig(
            vocab_size=types,
            hidden_size=size.hidden,
            intermediate_size=4 * size.hidden,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            max_position_embeddings=length,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            attn_implementation=ATTENTION,
            pad_token_id=PAD,
            **further,
        )
    )


def encoder(types, size, length):
    """Return a masked language model (BERT) with random weights."""
    from transformers import BertForMaskedLM

    return bert(BertForMaskedLM, types, size, length)


def minilm(root):
    """Return MiniLM with a new head of two classes."""
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(
        folder_of("minilm", root), num_labels=2, attn_implementation=ATTENTION
    )


def smollm2(root):
    """Return SmolLM2."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder_of("smollm2", root), attn_implementation=ATTENTION)


def tokenizer_of(name, root):
    """Return the tokenizer of a model that was trained before."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder_of(name, root))


def watched(model):
    """Return the names of the linear maps in the first, the middle and the last block."""
    from torch import nn

    stack = max(
        (part for part in model.modules() if isinstance(part, nn.ModuleList)),
        key=lambda blocks: sum(weight.numel() for weight in blocks.parameters()),
    )
    names = {id(part): name for name, part in model.named_modules()}
    blocks = [stack[number] for number in sorted({0, len(stack) // 2, len(stack) - 1})]
    return [names[id(part)] for block in blocks for part in block.modules() if isinstance(part, nn.Linear)]
