"""Laws of every objective; each stands against a defect that was found in another implementation.

The defects: weights multiplied into labels before these are normalised (they cancel), a uniform
target for lists without clicks, a reference that is the first remaining item instead of position
1, padded documents that stay in the softmax, clipping that touches nothing.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultr.objectives import Terms, dla_offset, dla_weights, ipw, naive, softmax_nll
from ultr.objectives.dla import inverse_propensity


def call(method, f, c, *, g, position, where, reference=0.3, max_weight=100.0) -> Terms:
    """One signature for all members: g is a logit per entry, g at position 1 is 0.3."""
    reference = jnp.asarray(reference)
    match method:
        case "naive":
            return naive(f, c, where=where)
        case "ipw":
            return ipw(f, c, logits=g, reference=reference, where=where, max_weight=max_weight)
        case "dla-weights":
            return dla_weights(
                f, c, logits=g, reference=reference, position=position, where=where,
                max_weight=max_weight,
            )  # fmt: skip
        case "dla-offset":
            return dla_offset(f, c, logits=g, where=where)
    raise AssertionError(method)


METHODS = ("naive", "ipw", "dla-weights", "dla-offset")
TABLE = jnp.asarray([0.3, 0.1, -0.4, -0.9, -1.3, -2.0])


def losses(terms: Terms) -> jax.Array:
    safe = [jnp.maximum(w, 1e-12) for w in (terms.rank_weight, terms.propensity_weight)]
    return terms.rank / safe[0] + terms.propensity / safe[1]


@pytest.fixture
def lists():
    rng = np.random.default_rng(7)
    f = jnp.asarray(rng.normal(size=(5, 6)), jnp.float32)
    c = jnp.asarray(rng.integers(0, 3, (5, 6)), jnp.float32).at[3].set(0.0)
    position = jnp.broadcast_to(jnp.arange(1, 7), (5, 6))
    where = jnp.ones((5, 6), bool)
    return {"f": f, "c": c, "g": TABLE[position - 1], "position": position, "where": where}


@pytest.mark.parametrize("method", METHODS)
def test_padding_changes_nothing(method, lists):
    padded = {
        k: jnp.pad(v, ((0, 2), (0, 3)), constant_values=9 if k in "fcg" else 0)
        for k, v in lists.items()
    }
    padded["where"] = jnp.pad(lists["where"], ((0, 2), (0, 3)))
    assert jax.tree.all(
        jax.tree.map(
            lambda a, b: np.allclose(a, b, rtol=1e-5),
            call(method, **lists),
            call(method, **padded),
        )
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_mask_equals_a_slice(method, lists):
    cut = {k: v[:, :4] for k, v in lists.items()}
    masked = lists | {"where": lists["where"].at[:, 4:].set(False)}
    np.testing.assert_allclose(call(method, **masked), call(method, **cut), rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_columns_are_not_positions(method, lists):
    """Shuffling the entries of a list, positions with them, changes nothing."""
    order = jnp.asarray([4, 2, 0, 5, 1, 3])
    shuffled = {k: v[:, order] for k, v in lists.items()}
    np.testing.assert_allclose(call(method, **shuffled), call(method, **lists), rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_collapsed_list_equals_its_sessions(method, lists):
    """Two sessions of one list give the loss and gradient of the one row with their counts."""
    rng = np.random.default_rng(1)
    first = jnp.asarray(rng.integers(0, 2, lists["c"].shape), jnp.float32)
    second = jnp.asarray(rng.integers(0, 2, lists["c"].shape), jnp.float32)
    twice = {k: jnp.concatenate([v, v]) for k, v in lists.items()}
    twice["c"] = jnp.concatenate([first, second])
    once = lists | {"c": first + second}

    def loss(f, given, copies):
        return losses(call(method, **given | {"f": jnp.concatenate([f] * copies)}))

    single = jax.value_and_grad(loss)(lists["f"], once, 1)
    double = jax.value_and_grad(loss)(lists["f"], twice, 2)
    np.testing.assert_allclose(single[0], double[0], rtol=1e-5)
    np.testing.assert_allclose(single[1], double[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("empty", ["no clicks", "no documents"])
def test_nothing_gives_nothing(method, lists, empty):
    given = lists | {"c": jnp.zeros_like(lists["c"])}
    if empty == "no documents":
        given |= {"where": jnp.zeros_like(lists["where"]), "c": lists["c"]}

    def loss(f, g):
        return losses(call(method, **given | {"f": f, "g": g}))

    value, gradient = jax.value_and_grad(loss, argnums=(0, 1))(lists["f"], lists["g"])
    assert value == 0
    assert all(np.all(np.asarray(part) == 0) for part in gradient)


@pytest.mark.parametrize("method", METHODS)
def test_lists_without_clicks_may_be_left_out(method, lists):
    clicked = np.asarray(lists["c"]).sum(axis=1) > 0
    assert not clicked.all()
    kept = {k: v[clicked] for k, v in lists.items()}
    np.testing.assert_allclose(call(method, **kept), call(method, **lists), rtol=1e-5)


@pytest.mark.parametrize("method", ["dla-weights", "dla-offset"])
def test_each_tower_learns_from_its_own_loss_only(method, lists):
    def rank(g):
        return call(method, **lists | {"g": g}).rank

    def propensity(f):
        return call(method, **lists | {"f": f}).propensity

    assert np.all(np.asarray(jax.grad(rank)(lists["g"])) == 0)
    assert np.all(np.asarray(jax.grad(propensity)(lists["f"])) == 0)
    own = jax.grad(lambda f: call(method, **lists | {"f": f}).rank)(lists["f"])
    assert np.abs(np.asarray(own)).max() > 0.01


@pytest.mark.parametrize("method", ["dla-weights", "dla-offset", "ipw"])
def test_a_constant_on_all_logits_changes_nothing(method, lists):
    def rank(shift):
        given = {k: lists[k] for k in ("position", "where")}
        reference = 0.3 + shift
        g = lists["g"] + shift
        if method == "ipw":
            return ipw(lists["f"], lists["c"], logits=g, reference=reference, where=given["where"])
        if method == "dla-weights":
            return dla_weights(lists["f"], lists["c"], logits=g, reference=reference, **given)
        return dla_offset(lists["f"], lists["c"], logits=g, where=given["where"])

    np.testing.assert_allclose(rank(0.0), rank(2.5), rtol=1e-4)


def test_weights_are_the_paper_s():
    """w_i = exp(g_1 − g_i) and v_i = exp(f_1 − f_i), as a formula written out."""
    f, g = np.array([[0.2, -0.3, 0.5]]), np.array([[0.3, -0.2, -1.0]])
    c = np.array([[1.0, 2.0, 0.0]])

    def nll(logits):
        return -np.log(np.exp(logits) / np.exp(logits).sum())

    w, v = np.exp(g[0, 0] - g), np.exp(f[0, 0] - f)
    terms = dla_weights(
        jnp.asarray(f), jnp.asarray(c), logits=jnp.asarray(g), reference=jnp.asarray(0.3),
        position=jnp.asarray([[1, 2, 3]]), where=jnp.ones((1, 3), bool),
    )  # fmt: skip
    np.testing.assert_allclose(terms.rank, (c * w * nll(f)).sum(), rtol=1e-5)
    np.testing.assert_allclose(terms.rank_weight, (c * w).sum(), rtol=1e-5)
    np.testing.assert_allclose(terms.propensity, (c * v * nll(g)).sum(), rtol=1e-5)
    np.testing.assert_allclose(terms.propensity_weight, (c * v).sum(), rtol=1e-5)


def test_dropping_a_document_changes_no_other_weight():
    """The reference is position 1, wherever it stands, and not the first remaining item."""
    f = jnp.asarray([[0.9, 0.1, -0.5, 0.4]])
    position = jnp.asarray([[3, 1, 2, 4]])
    g = TABLE[position - 1]

    c = jnp.asarray([[1.0, 0.0, 0.0, 0.0]])

    def sums(where):
        terms = dla_weights(f, c, logits=g, reference=TABLE[0], position=position, where=where)
        return terms.rank_weight, terms.propensity_weight

    whole = sums(jnp.ones((1, 4), bool))
    dropped = sums(jnp.asarray([[True, True, False, False]]))
    np.testing.assert_allclose(whole, dropped, rtol=1e-6)


def test_a_list_without_position_1_keeps_its_rank_loss_and_gives_no_propensity_loss(lists):
    where = lists["where"].at[:, 0].set(False)
    terms = call("dla-weights", **lists | {"where": where})
    assert terms.rank > 0
    assert terms.propensity == 0
    assert terms.propensity_weight == 0
    w = jnp.exp(0.3 - lists["g"])
    np.testing.assert_allclose(
        terms.rank_weight, jnp.sum(jnp.where(where, lists["c"] * w, 0.0)), rtol=1e-5
    )


def test_weights_above_the_bound_become_the_bound_and_others_are_untouched():
    g = jnp.asarray([0.0, -1.0, -3.0, -7.0])
    w, is_cut = inverse_propensity(g, reference=jnp.asarray(0.0), max_weight=10.0)
    np.testing.assert_allclose(w, [1.0, np.exp(1.0), 10.0, 10.0], rtol=1e-6)
    assert np.asarray(is_cut).tolist() == [False, False, True, True]


def test_the_clipped_share_is_reported(lists):
    terms = call("ipw", **lists | {"where": lists["where"]}, max_weight=2.0)
    is_above = np.exp(0.3 - np.asarray(lists["g"])) > 2.0
    assert terms.clipped == np.asarray(lists["c"])[is_above].sum()
    assert 0 < terms.clipped < terms.clicks


class TestWeightsOfClicks:
    """Self-normalised over the batch, never within a list."""

    f = jnp.asarray([[0.0, 0.4], [1.5, -1.0]])
    where = jnp.ones((2, 2), bool)

    def loss(self, w, c):
        numerator, denominator = softmax_nll(self.f, c, where=self.where, weights=w)
        return numerator / denominator

    def test_one_click_each(self):
        c = jnp.asarray([[1.0, 0.0], [1.0, 0.0]])
        nll = -np.log(np.exp(self.f) / np.exp(self.f).sum(axis=1, keepdims=True))
        l1, l2 = float(nll[0, 0]), float(nll[1, 0])
        assert l1 > l2
        w = jnp.asarray([[2.0, 1.0], [1.0, 1.0]])
        batch, gradient = jax.value_and_grad(self.loss)(w, c)
        assert float(gradient[0, 0]) > 0
        np.testing.assert_allclose(gradient[0, 0], (l1 - float(batch)) / 3.0, rtol=1e-5)

    def test_two_clicks_of_one_list(self):
        """Raising one weight moves the target towards it: its score's gradient falls."""
        c = jnp.asarray([[1.0, 1.0], [0.0, 0.0]])

        def slope(weight):
            def loss(f):
                w = jnp.ones((2, 2)).at[0, 1].set(weight)
                numerator, denominator = softmax_nll(f, c, where=self.where, weights=w)
                return numerator / denominator

            return float(jax.grad(loss)(self.f)[0, 1])

        assert slope(3.0) < slope(1.0)

    def test_scaling_all_weights(self):
        c = jnp.asarray([[1.0, 0.0], [2.0, 1.0]])
        w = jnp.asarray([[2.0, 1.0], [1.0, 0.5]])
        np.testing.assert_allclose(self.loss(w, c), self.loss(7 * w, c), rtol=1e-6)


def test_both_forms_of_dla_are_still_at_the_truth():
    """Expected clicks under examination × relevance: no gradient on either tower."""
    rng = np.random.default_rng(3)
    f = jnp.asarray(rng.normal(size=(200, 6)), jnp.float32)
    position = jnp.broadcast_to(jnp.arange(1, 7), f.shape)
    c = 0.05 * jnp.exp(f) * jnp.exp(TABLE)[position - 1]
    where = jnp.ones(f.shape, bool)

    def offset(f, table):
        g = table[position - 1]
        return losses(dla_offset(f, c, logits=g, where=where))

    def weights(f, table):
        return losses(
            dla_weights(
                f, c, logits=table[position - 1], reference=table[0], position=position,
                where=where, max_weight=1e6,
            )
        )  # fmt: skip

    for form in (offset, weights):
        for_scores, for_table = jax.grad(form, argnums=(0, 1))(f, TABLE)
        assert np.abs(np.asarray(for_scores)).max() < 1e-6
        assert np.abs(np.asarray(for_table)).max() < 1e-5


class TestReferenceOfTheContext:
    """g at position 1 and the reference level, `[L, 1]`: each list has its own."""

    # Columns: a list shown on a phone, one on a desktop; documents as text, image, video.
    device = jnp.asarray([[0.0], [0.7]])
    media = jnp.asarray([[0.0, 0.4, -0.6], [0.4, 0.0, 0.0]])
    position = jnp.asarray([[1, 2, 3], [1, 2, 3]])
    g = TABLE[position - 1] * (1 + device) + device + media
    reference = TABLE[0] * (1 + device) + device
    f = jnp.asarray([[0.9, 0.1, -0.5], [0.2, -0.4, 0.3]])
    c = jnp.asarray([[1.0, 2.0, 1.0], [0.0, 1.0, 1.0]])
    where = jnp.ones((2, 3), bool)

    @property
    def given(self):
        return {"g": self.g, "position": self.position, "reference": self.reference}

    @pytest.mark.parametrize("method", ["ipw", "dla-weights"])
    def test_each_list_is_weighted_by_its_own(self, method):
        both = call(method, self.f, self.c, where=self.where, **self.given)
        w = jnp.exp(self.reference - self.g)
        np.testing.assert_allclose(both.rank_weight, jnp.sum(self.c * w), rtol=1e-5)
        alone = [
            call(method, self.f[i:i + 1], self.c[i:i + 1], where=self.where[i:i + 1],
                 **{k: v[i:i + 1] for k, v in self.given.items()})
            for i in range(2)
        ]  # fmt: skip
        total = jax.tree.map(lambda a, b: a + b, *alone)
        np.testing.assert_allclose(both, total, rtol=1e-5)

    @pytest.mark.parametrize("method", ["ipw", "dla-weights"])
    def test_what_a_list_has_in_common_changes_no_weight(self, method):
        """A device on which everything is examined half as often: the same weights."""
        shifted = self.given | {
            "g": self.g - jnp.asarray([[0.7], [0.0]]),
            "reference": self.reference - jnp.asarray([[0.7], [0.0]]),
        }
        before, after = (
            call(method, self.f, self.c, where=self.where, **g) for g in (self.given, shifted)
        )
        np.testing.assert_allclose(after.rank_weight, before.rank_weight, rtol=1e-5)

    @pytest.mark.parametrize("dropped", [1, 2])
    def test_dropping_a_document_changes_no_other_weight(self, dropped):
        """Neither w nor v: a click on another document weighs what it weighed."""
        kept = self.where.at[:, dropped].set(False)
        c = jnp.where(kept, self.c, 0.0)
        whole = call("dla-weights", self.f, c, where=self.where, **self.given)
        cut = call("dla-weights", self.f, c, where=kept, **self.given)
        np.testing.assert_allclose(cut.rank_weight, whole.rank_weight, rtol=1e-6)
        np.testing.assert_allclose(cut.propensity_weight, whole.propensity_weight, rtol=1e-6)
