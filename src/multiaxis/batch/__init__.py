"""Many files through any verb: plan, dry run, resume, report, workers, machines, addresses.

`multiaxis.batch.run` is the one door. The room knows no use and no model.
"""

from multiaxis.batch.engine import plan, run
from multiaxis.batch.job import Batch, Finished, Job, Plan, Result
from multiaxis.batch.model_verb import ModelVerb
from multiaxis.batch.request import Request
from multiaxis.batch.verb import File, Header, Outcome, Runner, Verb, Wording
from multiaxis.batch.watcher import Watcher

__all__ = [
    "Batch",
    "File",
    "Finished",
    "Header",
    "Job",
    "ModelVerb",
    "Outcome",
    "Plan",
    "Request",
    "Result",
    "Runner",
    "Verb",
    "Watcher",
    "Wording",
    "plan",
    "run",
]
