"""Chapters measured against their peers, both in one run: `python -m benchmarks.<chapter>`."""
