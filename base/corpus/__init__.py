"""What the embedded base reads while it is pretrained: sources, prompts of our own making, tokenizer, token files."""
