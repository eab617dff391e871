"""The estimators on arrays, with one row per unit."""

from fewtreated.estimators.abnormal_returns import (
    abnormal_returns,
    market_model,
    market_rank,
    pool_events,
)
from fewtreated.estimators.att_gt import att_gt
from fewtreated.estimators.cross_checks import imputation
from fewtreated.estimators.doubly_robust import doubly_robust
from fewtreated.estimators.exposure import exposure_effects
from fewtreated.estimators.honest_did import honest_bounds
from fewtreated.estimators.power import detectable, minimum_detectable_effect
from fewtreated.estimators.randomization import randomization_did
from fewtreated.estimators.survival import exit_survival
from fewtreated.estimators.synthetic import permutation_did, synthetic_did
from fewtreated.estimators.units import usable_units

__all__ = [
    "abnormal_returns",
    "att_gt",
    "detectable",
    "doubly_robust",
    "exit_survival",
    "exposure_effects",
    "honest_bounds",
    "imputation",
    "market_model",
    "market_rank",
    "minimum_detectable_effect",
    "permutation_did",
    "pool_events",
    "randomization_did",
    "synthetic_did",
    "usable_units",
]
__dir__ = __all__.copy
