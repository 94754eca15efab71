"""The search itself: records of candidates, samplers, the resumable loop, the Pareto front.

Only what is light is listed here. The loop is in `cmpc_search.study.loop`; importing that costs
Optuna's second.
"""

from cmpc_search.study.front import PICKS, pareto_front, pick
from cmpc_search.study.progress import Counts, StudySummary, TrialProgress
from cmpc_search.study.records import Accuracy, Candidate, CandidateScore
from cmpc_search.study.settings import Budget, CostName, StudySettings, cost_of

__all__ = [
    "PICKS",
    "Accuracy",
    "Budget",
    "Candidate",
    "CandidateScore",
    "CostName",
    "Counts",
    "StudySettings",
    "StudySummary",
    "TrialProgress",
    "cost_of",
    "pareto_front",
    "pick",
]
