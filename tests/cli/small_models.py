"""Small models of transformers in folders, with tokenizers that need no files from elsewhere."""

import torch
import transformers

SENTENCES = ["the cat sat", "a dog ran off", "the sun", "cats and dogs sat"] * 8
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted({word for line in SENTENCES for word in line.split()})]


def bert(folder, seed=0):
    """Save a BERT of two blocks with random weights, and its tokenizer."""
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=32,
    )
    torch.manual_seed(seed)
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizer({word: place for place, word in enumerate(WORDS)}).save_pretrained(folder)
    return folder
