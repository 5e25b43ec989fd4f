"""Clips: frame after frame through a restorer; sound, subtitles and frame times as they were."""

from multiaxis.video.clip import SUFFIXES, Clip, open_clip
from multiaxis.video.plan import ClipPlan, plan_clip
from multiaxis.video.restore import ClipResult, restore_clip, run_plan
from multiaxis.video.steady import Steady

__all__ = [
    "SUFFIXES",
    "Clip",
    "ClipPlan",
    "ClipResult",
    "Steady",
    "open_clip",
    "plan_clip",
    "restore_clip",
    "run_plan",
]
