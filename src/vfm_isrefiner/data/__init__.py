"""Data sets as instances: one file a set, one skeleton; sampling, augmentation and the Lightning data module."""
