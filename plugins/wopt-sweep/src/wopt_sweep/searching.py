"""A search of settings by Optuna."""

from __future__ import annotations

import math
from typing import Any

from wopt.errors import ConfigError
from wopt.interfaces import Listener
from wopt.train import StepRecord
from wopt_sweep.plan import Setting, SweepDesign
from wopt_sweep.sweep import Pruned, Sweep


def search(sweep: Sweep, trials: int) -> None:
    """Try settings until ``trials`` of them have ended, counting those of earlier calls.

    Settings are chosen by Optuna's tree-structured Parzen estimator. After each step of the first
    seed's run its held-out NLL (or energy) is compared with those of other trials at that step,
    and a run worse than their median is ended. The study is kept in ``optuna.db`` (SQLite) in the
    sweep's folder.

    Raises:
        ConfigError: Optuna is not installed, or the plan varies nothing.
        Interrupted: Ctrl-C was pressed; the present trial is repeated when the search continues.

    Source: Akiba et al., *Optuna: a next-generation hyperparameter optimization framework*, 2019.
    """
    optuna = _optuna()
    if not sweep.plan.grid and not sweep.plan.ranges:
        raise ConfigError("a search needs something to vary: --grid K=V1,V2 or --range K=LOW:HIGH")
    study = _study(optuna, sweep)
    for left in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        # An interrupted trial: its setting is tried first, and its runs are resumed.
        study.tell(left.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(left.params)
    while len(_ended(optuna, study)) < trials:
        trial = study.ask()
        setting = _setting(trial, sweep.plan)
        watch = _Watch(trial)
        summary = sweep.run(setting, watch)
        if any(row.status == "pruned" for row in summary.rows):
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif math.isfinite(summary.value):
            study.tell(trial, summary.value)
        else:
            trial.set_user_attr("ended", True)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ConfigError(
            'a search needs Optuna: pip install "wopt-core[optuna]", or leave --optuna out'
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _study(optuna: Any, sweep: Sweep) -> Any:
    storage = optuna.storages.RDBStorage(f"sqlite:///{(sweep.path / 'optuna.db').absolute()}")
    seed = int(sweep.base.get("seed", 0)) + len(sweep.rows)  # continuing must not draw the same
    return optuna.create_study(
        study_name="sweep",
        storage=storage,
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=8),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
        load_if_exists=True,
    )


def _ended(optuna: Any, study: Any) -> list[Any]:
    """Return the finished trials, including failed ones, which would else be tried for ever."""
    state = optuna.trial.TrialState
    return [
        t
        for t in study.get_trials(deepcopy=False)
        if t.state in (state.COMPLETE, state.PRUNED)
        or (t.state == state.FAIL and t.user_attrs.get("ended"))
    ]


def _setting(trial: Any, plan: SweepDesign) -> Setting:
    texts = [f"{k}={trial.suggest_categorical(k, list(v))}" for k, v in plan.grid.items()]
    for key, r in plan.ranges.items():
        if r.whole:
            value = trial.suggest_int(key, int(r.low), int(r.high), log=r.log)
        else:
            value = trial.suggest_float(key, r.low, r.high, log=r.log)
        texts.append(f"{key}={value!r}")
    return tuple(texts)


class _Watch(Listener):
    """Reports each step of a trial's first run to the study, which may end the run."""

    def __init__(self, trial: Any) -> None:
        self.trial = trial
        self.seen = 0

    def step(self, record: StepRecord) -> None:
        """Report a step."""
        value = record.energy if record.nll_valid is None else record.nll_valid
        if record.step <= self.seen or not math.isfinite(value):
            return
        self.seen = record.step
        self.trial.report(value, record.step)
        if self.trial.should_prune():
            raise Pruned(
                f"after step {record.step} its held-out value, {value:.6g}, was worse than the "
                "median of the trials before"
            )
