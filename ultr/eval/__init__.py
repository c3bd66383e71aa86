"""How good a run is: ranking metrics, click likelihood, propensity error, comparison of runs."""
