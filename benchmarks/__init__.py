"""Benchmarks of the chapters against other programs, measured in one run on one machine."""
