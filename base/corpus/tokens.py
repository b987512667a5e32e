"""The tokenizer: byte-level BPE of 4,096 tokens in all, digits one by one, ChatML turns."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY = 4096
END_OF_TEXT, TURN, END_OF_TURN, PAD = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"
CONTEXT = 2048
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_EVERYDAY = """
account address agent app appointment available balance bank bill block booking buy calendar cancel car card cash change charge
charged check code computer confirm cost credit currency customer debit declined delivery deposit device discount email error
exchange fee fees flight freeze help hotel identity insurance internet issue item limit loan lost machine message missing money
music number online order package password pay payment pending phone pin plan price problem product purchase rate received
refund rental repair replace replacement reservation reset restaurant return schedule seat sell service shipping shop song
statement status stolen store support tax text ticket top track traffic transaction transfer travel update verify website
withdraw withdrawal wrong
"""
"""Words of today's messages that old fiction outnumbers; each gets a token where the corpus has it often enough to learn it."""
LEAST_SEEN = 60
_BOOST = 1500
_PIECES = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""GPT-2's pieces, except that every digit stands alone, without the space before it."""


def everyday_texts(texts: Iterable[str]) -> Iterator[str]:
    """The everyday words seen at least LEAST_SEEN times in texts, repeated so that the tokenizer keeps them whole."""
    seen = Counter[str]()
    for text in texts:
        seen.update(re.findall(r"[a-z]+", text.lower()))
    for word in _EVERYDAY.split():
        if seen[word] >= LEAST_SEEN:
            yield f" {word}" * _BOOST


def train_tokenizer(texts: Iterable[str], folder: Path) -> PreTrainedTokenizerFast:
    """Train on texts and save as a folder that transformers loads. Lossless: any UTF-8 text decodes to itself."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(_PIECES), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT, TURN, END_OF_TURN, PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=PAD,
        additional_special_tokens=[END_OF_TEXT, TURN],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder, save_jinja_files=False)
    return fast
