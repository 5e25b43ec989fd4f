"""Scores of restored pictures, and the protocols by which published tables took them."""

from multiaxis.score.luma import luma_matlab, luma_opencv, luma_unrounded
from multiaxis.score.protocol import (
    PROTOCOLS,
    Protocol,
    Score,
    get_protocol,
    score_pair,
)
from multiaxis.score.psnr import psnr
from multiaxis.score.ssim import SSIM_KINDS, SsimKind, similarity_maps, ssim
from multiaxis.score.table import Pair, ScoreRow, ScoreTable, pair_folders

__all__ = [
    "PROTOCOLS",
    "SSIM_KINDS",
    "Pair",
    "Protocol",
    "Score",
    "ScoreRow",
    "ScoreTable",
    "SsimKind",
    "get_protocol",
    "luma_matlab",
    "luma_opencv",
    "luma_unrounded",
    "pair_folders",
    "psnr",
    "score_pair",
    "similarity_maps",
    "ssim",
]
