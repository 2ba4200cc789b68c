"""The toy checkpoint: a tiny model of the genuine architecture that holds a few kinds of conversation."""
