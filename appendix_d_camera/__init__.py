"""Appendix D: a camera application with trained networks."""
