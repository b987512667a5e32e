"""Messages to token ids and loss mask: the one renderer, used alike for training, evaluation and serving."""
