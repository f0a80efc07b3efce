from __future__ import annotations
from dataclasses import dataclass
@dataclass(frozen=True, slots=True)
class StatCalls:
    plan: float | None
    slurm_plan: float | None
    slurm_job: float | None
def stat_calls(study: object) -> StatCalls:
    raise SystemExit("later")
