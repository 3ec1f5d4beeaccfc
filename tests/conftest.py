"""Strict numbers everywhere: float64, no silent promotion of dtype or rank."""

import os
from pathlib import Path

# Set before JAX starts: most of the time of these tests is compilation.
flags = [os.environ.get("XLA_FLAGS", ""), "--xla_backend_optimization_level=0"]
os.environ["XLA_FLAGS"] = " ".join(flags).strip()

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True, scope="module")
def few_compiled_programs():
    """Drop them before their memory maps are the 65,530 that Linux allows."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text().count("\n") > 30_000:
        jax.clear_caches()


@pytest.fixture
def getkey():
    """A new key at each call, the same ones in every run."""
    keys = iter(jax.random.split(jax.random.key(20241122), 1000))
    return lambda: next(keys)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What only repeats, or takes half a minute, is left to the slow run."""
    seen = set()
    for item in items:
        name = item.path.name
        function = getattr(item, "originalname", None)
        repeats = function in FIRST_CASE and (name, function) in seen
        experiment = name.startswith("test_zoo") and name not in DAILY_EXPERIMENTS
        if item.path.suffix == ".ipynb" or experiment or repeats:
            item.add_marker("slow")
        seen.add((name, function))


DAILY_EXPERIMENTS = {
    "test_zoo_digits.py",
    "test_zoo_forward_only.py",
    "test_zoo_hil_demo.py",
    "test_zoo_small.py",
}
"""Of the experiments' tests, those of every day: one of each kind of training."""

FIRST_CASE = {
    "test_a_device_is_run_as_often_as_the_cost_says",
    "test_clamped_outputs_are_held_and_the_rest_settles",
    "test_clamped_outputs_stay_and_the_rest_settles",
    "test_configurations_follow_boltzmann",
    "test_cost_counts_the_relaxations",
    "test_drives_are_the_derivatives_of_the_interaction",
    "test_elimination_is_the_dense_inverse_and_obeys_its_laws",
    "test_energy_falls_at_every_step_until_nothing_moves",
    "test_every_family_finds_the_bottom_of_a_bowl",
    "test_force_is_minus_the_slope_of_the_energy",
    "test_ground_states_of_spin_glasses",
    "test_jit_vmap_leading_axes_and_no_key",
    "test_kirchhoff_and_power_balance",
    "test_kirchhoffs_current_law",
    "test_lossless_mesh_is_unitary",
    "test_many_wavelengths_at_once_equal_one_by_one",
    "test_matrix_is_the_product_of_interferometers",
    "test_mesh_has_an_interferometer_for_each_pair_of_modes",
    "test_outputs_and_gradients_are_those_of_plain_steps",
    "test_power_in_regions",
    "test_reconstructs_haar_unitaries",
    "test_reconstructs_permutations",
    "test_signals_are_orthogonal_over_a_period_and_odd_ones_have_no_mean",
    "test_single_precision",
    "test_single_precision_stays_single",
    "test_small_graphs_are_cut_as_far_as_they_can_be",
    "test_small_problems_are_solved",
    "test_svd_mesh_is_any_matrix",
    "test_the_drives_are_analytic",
    "test_tiki_taka_comes_closer",
    "test_without_a_window_the_state_is_the_charge",
}
"""Tests whose cases take seconds each, and of which one case a day is enough."""
