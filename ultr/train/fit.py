"""Train on lists and leave a run directory."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.config import from_mapping
from ultr.data import Lists, load_lists
from ultr.data.load import only_periods
from ultr.errors import DataError, UsageError
from ultr.lake import open_lake
from ultr.model import as_spec
from ultr.staleness import stale_inputs
from ultr.train.config import TrainConfig
from ultr.train.continued import Earlier, open_earlier, settings_of
from ultr.train.folder import (
    check_folder,
    check_same,
    clear,
    is_begun,
    is_finished,
    read_config,
    write_json,
)
from ultr.train.history import HISTORY, write_history
from ultr.train.identification import Identification, identify
from ultr.train.keeper import Keeper, OnEpoch, OnStage, alone
from ultr.train.lake_lists import LakeLists, default_memory_limit
from ultr.train.loop import Fitted
from ultr.train.pair_rows import Pairs, pairs_of
from ultr.train.part import Part
from ultr.train.phases import train_method
from ultr.train.presets import with_preset
from ultr.train.propensities import read_propensities, shown_cells, write_propensities
from ultr.train.run import Run, open_run, save_params
from ultr.train.splits import split_lists
from ultr.train.stop import stoppable


def fit(
    data: Lists | LakeLists,
    *,
    run: str | Path,
    config: TrainConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    continue_from: str | Path | None = None,
    on_epoch: OnEpoch = lambda _: None,
    on_stage: OnStage = lambda _: None,
    **settings: Any,
) -> Run:
    """Fit the ranker and the propensities, and leave a run directory.

    Args:
        data: what `ultr.load_lists` gives, or a `LakeLists` where that is too large for memory.
        run: the folder to make.
        config: the settings; or give them one by one as keywords.
        overwrite: replace a finished or stopped run in that folder.
        resume: go on with the training in that folder, if there is one that was stopped; settings
            that are not given are those that it was begun with. The result is that of a training
            that was not stopped. A finished run is left as it is.
        continue_from: a finished run on the same features, whose states and settings to begin with.
            `data` are the periods that it has not read.
        on_epoch: receives the measurements of each epoch.
        on_stage: receives what is being done, in a few words, until there is an epoch to tell of.
        **settings: fields of `TrainConfig`, instead of `config`; or a `preset` and what differs.

    Raises:
        DataError: nothing to learn from (no clicks, no features for a ranker on features), or
            damaged checkpoints.
        UsageError: `data` that are no lists, an unknown setting, a folder that holds a finished or
            stopped run or something else, or one to resume that was begun otherwise.
        StoppedError: Ctrl-C or SIGTERM came; a checkpoint was saved first.

    Example:
        >>> run = ultr.fit(ultr.load_lists("lake"), run="runs/dla", method="dla")  # doctest: +SKIP
        >>> run.propensities  # doctest: +SKIP
    """
    if not isinstance(data, Lists | LakeLists):
        raise UsageError(
            "ultr.fit trains on loaded lists",
            got=f"a {type(data).__name__}",
            hint='ultr.fit(ultr.load_lists("lake"), run=…)',
        )
    root = Path(run)
    chosen, earlier = _chosen(root, config, settings, continue_from, resume=resume)
    if earlier is not None:
        earlier.check_settings(chosen.to_json())
        data = earlier.adopt(data)
    spec = chosen.ranker_spec()
    is_drawn = chosen.sessions_per_batch is not None
    # A drawn session shows the clicks of one session, not the mean of all that saw its page.
    data = data.with_bias(chosen.bias, merge=not is_drawn)
    if earlier is not None:
        data = earlier.adopt_bias(data)
    data, pairs = _as_trained(data, chosen)
    on_stage("dividing the lists into training and held-out ones")
    training, held_out, selected_by = split_lists(data, spec, merge=not is_drawn)
    sessions = data.sessions_of("train", by=selected_by)
    on_stage("looking for what identifies the propensities")
    identified = identify(data, by=selected_by, by_features=spec.reads == "features")
    n_positions = max(training.max_position, held_out.max_position)
    if earlier is not None:
        n_positions = max(n_positions, earlier.n_positions)
    log_propensity = None
    if chosen.propensities is not None:
        shown = shown_cells(training, held_out)
        if earlier is not None:  # what it knows stays in the curve
            shown = earlier.cells_with(shown, data.bias)
        given = read_propensities(
            chosen.propensities, cells=shown, n_positions=n_positions, bias=data.bias
        )
        log_propensity = jnp.asarray(np.log(given), jnp.float32)
    about = {
        "settings": chosen.to_json(),
        "reads": spec.reads,
        "n_features": data.n_features,
        "n_documents": data.n_documents,
        "n_positions": n_positions,
        "bias": [dataclasses.asdict(column) for column in data.bias],
        "selected_by": selected_by,
        "predicts_probability": False,
        "buckets_together": data.group if isinstance(data, LakeLists) else None,
        "continued_from": None if earlier is None else str(earlier.root),
        "lake": data.lake,
    }
    check_folder(root, overwrite=overwrite, resume=resume)
    goes_on = resume and is_begun(root)
    if goes_on:
        check_same(root, about)
        if is_finished(root):
            return open_run(root, ranker=spec)
    with alone(root), stoppable() as stop:
        if not goes_on:
            # Another training may have begun here, and ended, since the folder was looked at.
            check_folder(root, overwrite=overwrite, resume=False)
            clear(root)
            write_json(root / "config.json", about)
        keeper = Keeper(
            root,
            every_s=chosen.checkpoint_seconds,
            on_epoch=on_epoch,
            stop=stop,
            earlier=None if earlier is None else earlier.root,
        )
        on_stage("training up to the first evaluation")
        with keeper, contextlib.ExitStack() as stack:
            fitted = train_method(
                *(
                    stack.enter_context(p.cached(root)) if isinstance(p, Part) else p
                    for p in (training, held_out)
                ),
                config=chosen,
                n_documents=data.n_documents if pairs is None else len(pairs.doc_id),
                n_positions=n_positions,
                sessions=sessions,
                log_propensity=log_propensity,
                is_identified=identified.state == "swaps",
                keeper=keeper,
            )
            keeper.finish()
        cells = shown_cells(training)
        _save(
            root, fitted, data=data, pairs=pairs, cells=cells, earlier=earlier,
            identified=identified,
        )  # fmt: skip
    return open_run(root, ranker=spec)


def _as_trained(
    data: Lists | LakeLists, config: TrainConfig
) -> tuple[Lists | LakeLists, Pairs | None]:
    """The lists as the settings want them, and what the parameters of a table ranker stand for."""
    if isinstance(data, LakeLists):
        data = data.trained_by(config)
        return data, None if data.rows is None else data.rows.pairs
    pairs = None
    if config.ranker_spec().reads == "row":
        data = data.one_row_per_pair(merge=config.sessions_per_batch is None)
        pairs = pairs_of(data)
    return data if config.list_size is None else data.top(config.list_size), pairs


def _chosen(
    root: Path,
    config: TrainConfig | None,
    settings: dict[str, Any],
    continue_from: str | Path | None,
    *,
    resume: bool,
) -> tuple[TrainConfig, Earlier | None]:
    """The settings, and the run to continue: given, or those of the run that is resumed."""
    settings = with_preset(settings)
    if "ranker" in settings:
        settings["ranker"] = as_spec(settings["ranker"])
    ranker = settings.get("ranker") if config is None else config.ranker
    earlier = _earlier(root, continue_from, resume=resume, ranker=ranker)
    if config is not None:
        return config, earlier
    begun = settings_of(root) if resume else {}
    known = begun or ({} if earlier is None else earlier.config["settings"])
    return from_mapping(TrainConfig, known | settings, where="ultr.fit"), earlier


def train_lake(
    *,
    lake: Path,
    run: Path,
    config: TrainConfig,
    overwrite: bool = False,
    resume: bool = False,
    continue_from: Path | None = None,
    on_epoch: OnEpoch = lambda _: None,
    on_stage: OnStage = lambda _: None,
) -> dict[str, Any]:
    """Train on a lake: what `ultr train` calls.

    Args:
        lake: its folder.
        run: as in `fit`.
        config: the settings.
        overwrite: as in `fit`.
        resume: as in `fit`.
        continue_from: a finished run; of the lake, only the periods that it has not read are, and
            those that have grown by a hundredth since.
        on_epoch: as in `fit`.
        on_stage: as in `fit`.

    Returns:
        `sessions epochs best_epoch click_nll_listwise seconds compile_seconds
        sessions_per_second propensities identification strength`; of a continued training also
        `new_levels` of bias columns, and sessions that came late, by period: `read_again`, with
        the whole of their period, and `left_out`, too few to do so. As far as there are such.

    Raises:
        DataError: the lake has no lists, or they are older than what they were made from, or it has
            no new periods and none that has grown; and as `fit`.
    """
    source = open_lake(lake)
    # Judgments are for evaluation and change nothing here.
    changed = [name for name in stale_inputs(source) if name != "judgments"]
    if changed:
        raise DataError(
            "training reads lists made of what the lake holds now",
            got=f"{' and '.join(changed)} of {lake} changed since",
            hint=f"run: ultr lists --lake {lake}",
        )
    earlier = _earlier(run, continue_from, resume=resume, ranker=config.ranker)
    late: dict[str, Any] = {}
    if earlier is not None:
        source.require("lists", hint=f"run: ultr lists --lake {lake}")
        unread = earlier.unread(source)
        source = only_periods(source, unread.periods)
        late = {"read_again": unread.again, "left_out": unread.left}
    is_drawn = config.sessions_per_batch is not None
    limit = config.memory_limit or default_memory_limit()
    # A machine with another amount of memory goes on in the groups that the first one read.
    group = read_config(run).get("buckets_together") if resume and is_begun(run) else None
    data = LakeLists(source, limit=limit, by_pattern=is_drawn, group=group)
    is_streamed = group is not None or not data.fits_in_memory
    on_stage(f"reading lists {'bucket by bucket' if is_streamed else 'into memory'}")
    fitted = fit(
        data if is_streamed else load_lists(source, by_pattern=is_drawn),
        run=run,
        config=config,
        overwrite=overwrite,
        resume=resume,
        continue_from=continue_from,
        on_epoch=on_epoch,
        on_stage=on_stage,
    )
    return fitted.summary | {name: told for name, told in late.items() if told}


def _earlier(
    root: Path, continue_from: str | Path | None, *, resume: bool, ranker: object
) -> Earlier | None:
    """The run to continue: the one given, or that with which a resumed training was begun."""
    if continue_from is None and resume and is_begun(root):
        continue_from = read_config(root).get("continued_from")
    if continue_from is None:
        return None
    if Path(continue_from).resolve() == Path(root).resolve():
        raise UsageError(
            "a run is continued into another folder: it stays as it is",
            got=f"{root} for both",
            hint="choose another --run",
        )
    return open_earlier(Path(continue_from), ranker=ranker)


def _save(
    root: Path,
    fitted: Fitted,
    *,
    data: Lists | LakeLists,
    pairs: Pairs | None,
    cells: NDArray[np.integer[Any]],
    earlier: Earlier | None,
    identified: Identification,
) -> None:
    logits = fitted.log_propensity
    save_params(root, fitted.params.ranker, logits)
    history = None
    if earlier is not None:
        cells, history = earlier.cells_with(cells, data.bias), earlier.history
    path = root / "propensities.parquet"
    table = np.asarray(logits, np.float64)
    propensity = write_propensities(
        path, table, cells=cells, bias=data.bias, identification=identified.state
    )
    periods = data.lake.get("periods", ["all"])
    write_history(root / HISTORY, pq.read_table(path), periods=periods, earlier=history)
    if pairs is not None:
        pq.write_table(pa.table(pairs._asdict()), root / "documents.parquet")
    elif data.transform is not None:
        write_json(root / "transform.json", data.transform.to_json())
    write_json(root / "lake.json", data.lake)
    # Last, since it marks the run as finished.
    write_json(root / "summary.json", {
        "sessions": fitted.sessions,
        "epochs": fitted.epochs,
        "best_epoch": fitted.best_epoch,
        "click_nll_listwise": fitted.click_nll_listwise,
        "seconds": fitted.seconds,
        "compile_seconds": fitted.compile_seconds,
        "sessions_per_second": fitted.sessions * fitted.epochs / max(fitted.steps_seconds, 1e-9),
        "propensities": propensity,
        "identification": identified.to_json(),
        "strength": fitted.strength,
        **({"new_levels": new} if earlier and (new := earlier.new_levels(data.bias)) else {}),
    })  # fmt: skip
