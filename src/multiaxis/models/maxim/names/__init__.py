"""Whose names MAXIM's parameters may have in a checkpoint, and how they are told."""

OURS = "multiaxis' MAXIM"
AUTHORS = "the authors' MAXIM"
TFJS = "the authors' MAXIM in TensorFlow.js"

ORIGINS = {
    OURS: r"stages\.\d+\.input_convs\.\d+\.(weight|bias)$",
    AUTHORS: r"(?<!/backbone/)stage_\d+_input_conv_\d+/(kernel|bias)$",
    TFJS: r"(?:.*/)?jax2tf_apply_/Wrapper/backbone/stage_\d+_input_conv_",
}
"""A pattern of names that only that origin has, from where its names begin."""
