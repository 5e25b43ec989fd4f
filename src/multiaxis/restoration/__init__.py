"""A model and a picture: padding, precision, devices, many files."""

from multiaxis.restoration.jobs import Job, Plan, Result, plan_jobs
from multiaxis.restoration.output import Output
from multiaxis.restoration.restorer import Restorer
from multiaxis.restoration.run import run_jobs
from multiaxis.restoration.single import restore

__all__ = ["Job", "Output", "Plan", "Restorer", "Result", "plan_jobs", "restore", "run_jobs"]
