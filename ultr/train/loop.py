"""The training loop: reads top to bottom."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from ultr.model import BiasModel
from ultr.train.checkpoint import restore
from ultr.train.config import TrainConfig
from ultr.train.course import Course, Kept, not_finite
from ultr.train.keeper import Training
from ultr.train.source import Source
from ultr.train.splits import TrainingSet
from ultr.train.start import start
from ultr.train.step import Model, Towers, click_nll, run_epoch
from ultr.train.stream import open_source
from ultr.train.stream_drawn import draw_source
from ultr.train.warm import warm_start

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """What training ends with.

    Args:
        model: graph definitions.
        params: the state with the best held-out click likelihood.
        best_epoch: its epoch, from 1.
        epochs: epochs that were run.
        click_nll_listwise: its held-out listwise click NLL, nats per click.
        query_nll: `[Q]` its sum over the clicks of each held-out query.
        seconds: wall time of everything.
        compile_seconds: of the first epoch and the first evaluation, over what a later one takes.
        steps_seconds: wall time of the epochs alone, compilation left out.
        sessions: sessions one epoch passes over.
        strength: share of the log propensities that the ranker was corrected by.
    """

    model: Model
    params: Towers
    best_epoch: int
    epochs: int
    click_nll_listwise: float
    query_nll: Floats
    seconds: float
    compile_seconds: float
    steps_seconds: float
    sessions: int
    strength: float = 1.0

    @property
    def log_propensity(self) -> jax.Array:
        """Log propensities of all positions and bias contexts, `[P, *levels]`."""
        model: BiasModel = nnx.merge(self.model.graphs.propensity, self.params.propensity)
        return model.table()


def train(
    data: TrainingSet,
    held_out: TrainingSet,
    *,
    config: TrainConfig,
    n_documents: int,
    sessions: int,
    decay: float | None = None,
    n_positions: int,
    log_propensity: jax.Array | None,
    is_frozen: bool,
    keeper: Training,
) -> Fitted:
    """Fit ranker and propensity model; keep the best state by held-out click likelihood.

    Args:
        data: the training split.
        held_out: the validation split.
        config: the settings.
        n_documents: of the whole lake, shown or not: parameters of the table ranker.
        sessions: that the training split stands for, those without a click included: they
            contribute nothing to these objectives and are left out of `data`, exactly.
        decay: weight decay of the ranker; the first of the configuration's by default.
        n_positions: P, positions that the propensity model is to know.
        log_propensity: `[P, *levels]` log propensities to start from; all alike by default.
        is_frozen: hold the propensities still.
        keeper: where the training goes on from, and what it tells and keeps.

    Raises:
        DataError: a loss that is not a number, naming the step.
        StoppedError: someone asked for it; a checkpoint was saved.
    """
    began = time.perf_counter()
    shape = (n_positions, *(len(column.levels) for column in data.bias))
    model, state = start(
        n_features=data.n_features,
        n_documents=n_documents,
        config=config,
        decay=config.decays[0] if decay is None else decay,
        bias=data.bias,
        log_propensity=jnp.zeros(shape) if log_propensity is None else log_propensity,
        is_frozen=is_frozen,
    )
    spec = config.ranker_spec()
    held = open_source(held_out, spec=spec, config=config)
    opened = open_source if config.sessions_per_batch is None else draw_source
    source = opened(data, spec=spec, config=config)
    sessions = config.drawn_sessions or sessions
    loop = _Loop(model, source, held, config, sessions, keeper, began)
    # A copy: the first step donates the state's buffers.
    kept = Kept(state, jax.tree.map(jnp.copy, state.params), np.zeros(held.n_queries))
    saved = keeper.load()
    if saved is None:
        state = warm_start(state, keeper.earlier(), is_frozen=is_frozen)
        return loop.run(kept._replace(state=state), Course())
    return loop.run(restore(kept, saved.arrays), Course(**saved.notes["course"]))


@dataclass
class _Loop:
    model: Model
    source: Source
    held: Source
    config: TrainConfig
    sessions: int
    keeper: Training
    began: float

    def run(self, kept: Kept, course: Course) -> Fitted:
        """Alternate between passing over the data and evaluating, until nothing gets better."""
        while not (course.is_finished or self._is_over(course)):
            kept = self._pass_over(kept, course)
            kept = self._evaluate(kept, course)
            if self.keeper.is_due and not self._is_over(course):
                self._save(kept, course)
        if not course.is_finished:
            course.is_finished = True
            self._save(kept, course)
        return self._fitted(kept, course)

    @property
    def passes(self) -> int:
        """Epochs between two evaluations."""
        return max(1, math.ceil(self.config.evaluation_steps / self.source.batches))

    def _is_over(self, course: Course) -> bool:
        if course.evaluation > self.config.evaluations:
            return True
        waits_since = max(course.best_evaluation, course.first)
        return bool(course.first) and course.evaluation > waits_since + self.config.patience

    def _pass_over(self, kept: Kept, course: Course) -> Kept:
        """The epochs up to the next evaluation, or what is left of them."""
        while course.epoch <= course.evaluation * self.passes:
            before = time.perf_counter()
            running = None  # one segment: the device works on it while the next is made ready
            for arrays, plan, _ in self.source.segments(epoch=course.epoch, first=course.segment):
                state, measured = run_epoch(self.model, kept.state, arrays, plan)
                kept = kept._replace(state=state)
                if running is not None:
                    course.add(running)
                running = measured
                course.segment += 1
                if self.keeper.is_due:
                    course.add(running)
                    running = None
                    course.interval_s += time.perf_counter() - before
                    self._save(kept, course)
                    before = time.perf_counter()
            if running is not None:
                course.add(running)
            course.interval_s += time.perf_counter() - before
            course.next_epoch()
        return kept

    def _evaluate(self, kept: Kept, course: Course) -> Kept:
        """Held-out clicks: tell of them, and keep the state if it is the best."""
        before = time.perf_counter()
        params = kept.state.averaged if self.config.averaging else kept.state.params
        nll = _query_nll(self.model, params, self.held)
        click_nll_listwise = float(nll.sum() / self.held.clicks)
        evaluation_s = time.perf_counter() - before
        self._tell(course, click_nll_listwise, total_steps=int(kept.state.step))
        is_last = course.evaluation == self.config.evaluations
        if kept.state.step >= self.config.first_step or is_last:
            course.first = course.first or course.evaluation
        if course.first and click_nll_listwise < course.best_click_nll:
            course.best_evaluation, course.best_click_nll = course.evaluation, click_nll_listwise
            # A copy: the next epoch donates this state's buffers.
            kept = kept._replace(best=jax.tree.map(jnp.copy, params), best_nll=nll)
        course.next_evaluation(evaluation_s=evaluation_s)
        return kept

    def _tell(self, course: Course, click_nll_listwise: float, *, total_steps: int) -> None:
        measured, epoch = course.measurements(), course.epoch - 1
        if not math.isfinite(click_nll_listwise):
            raise not_finite(f"the evaluation after epoch {epoch}")
        documents, seconds = measured.pop("documents"), max(course.interval_s, 1e-9)
        self.keeper.record({
            "epoch": epoch,
            "click_nll_listwise": click_nll_listwise,
            **measured,
            "total_steps": total_steps,
            "seconds": course.interval_s,
            "sessions_per_second": self.passes * self.sessions / seconds,
            "documents_per_second": documents / seconds,
        })  # fmt: skip

    def _save(self, kept: Kept, course: Course) -> None:
        own_s = time.perf_counter() - self.began
        self.keeper.save(kept, course.to_json() | {"seconds": course.seconds + own_s})

    def _fitted(self, kept: Kept, course: Course) -> Fitted:
        done = len(course.took)
        return Fitted(
            model=self.model,
            params=kept.best,
            best_epoch=course.best_evaluation * self.passes,
            epochs=done * self.passes,
            click_nll_listwise=course.best_click_nll,
            query_nll=kept.best_nll,
            seconds=course.seconds + time.perf_counter() - self.began,
            compile_seconds=course.compile_s(),
            steps_seconds=course.usual_s()[0] * done,
            sessions=self.sessions,
        )


def _query_nll(model: Model, params: Towers, held: Source) -> Floats:
    """`[Q]` listwise NLL, summed over the clicks of each query."""
    total = np.zeros(held.n_queries)
    for arrays, plan, query in held.segments(epoch=0):
        nll = np.asarray(click_nll(model, params, arrays, plan), np.float64)
        total += np.bincount(query[query >= 0], nll[query >= 0], minlength=held.n_queries)
    return total
