"""A model and a picture: padding, precision, devices, many files."""

from multiaxis.restore.jobs import Job, Plan, Result, plan_jobs, run_jobs
from multiaxis.restore.restorer import Restorer, restore

__all__ = ["Job", "Plan", "Restorer", "Result", "plan_jobs", "restore", "run_jobs"]
