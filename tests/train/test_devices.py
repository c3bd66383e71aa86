"""Any number of devices gives the same training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TRAIN = """
import json, sys
import jax
import numpy as np
import ultr
from conftest import planted
from ultr.train.sharding import n_devices
data = planted.__wrapped__()([1.0, 0.6, 0.4], queries=60, documents=5)[0]
run = ultr.fit(
    data, run=sys.argv[1], hidden=(16,), is_refitted=False, documents_per_batch=64,
    evaluations=2, min_steps=1, batches_per_dispatch=3,
)
print(json.dumps({
    "devices": n_devices(),
    "nll": run.summary["click_nll_listwise"],
    "scores": run.score(data.features[:50]).tolist(),
    "propensities": run.propensities["propensity"].to_pylist(),
}))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The same training on one, two and eight devices."""
    tests = Path(__file__).parents[1]
    running = {}
    for devices in (1, 2, 8):
        flags = f"--xla_force_host_platform_device_count={devices}"
        path = os.pathsep.join([str(tests.parent), str(tests)])
        running[devices] = subprocess.Popen(
            [sys.executable, "-c", TRAIN, str(tmp_path_factory.mktemp("devices") / "run")],
            env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": path},
            stdout=subprocess.PIPE,
        )
    return {n: json.loads(p.communicate()[0].splitlines()[-1]) for n, p in running.items()}


def test_all_devices_share_a_batch(results):
    assert {n: found["devices"] for n, found in results.items()} == {1: 1, 2: 2, 8: 8}


@pytest.mark.parametrize("devices", [2, 8])
def test_the_result_does_not_depend_on_their_number(results, devices):
    one, other = results[1], results[devices]
    assert other["nll"] == pytest.approx(one["nll"], rel=1e-5)
    np.testing.assert_allclose(other["propensities"], one["propensities"], rtol=1e-4)
    # The score of a document is known up to a constant.
    centred = [np.array(r["scores"]) - np.mean(r["scores"]) for r in (one, other)]
    np.testing.assert_allclose(*centred, atol=2e-3)
