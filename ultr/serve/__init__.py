"""Use of a run after training: scores in bulk."""
