"""What keeps a model from overfitting and from forgetting, once a step and outside the token sum. One file each.

    neftune        noise on the embeddings, in the forward pass of training
    l2_sp          pull toward the base's weights, added to the gradient after the last backward pass, before clipping
    ema            running mean of the weights, after each step; evaluated and kept in place of the weights
    interpolation  weights between base and tuned, after training

Replay of general rows is the feed's business, KL to the base the objectives', dropout and weight decay the model's and the optimiser's.
"""
