"""A model and a picture: padding, precision, devices, many files."""

from multiaxis.restoration.jobs import Job, Plan, Result, plan_jobs, run_jobs
from multiaxis.restoration.restorer import Restorer, restore

__all__ = ["Job", "Plan", "Restorer", "Result", "plan_jobs", "restore", "run_jobs"]
