"""Figures and answers, side by side with the peers: `python -m bench` and `python -m bench.traits`."""
