"""What benchmarks/train.py is made of: cases, their rows, the model, our side, and how both sides are driven."""
