"""Appendix C: image processing in NumPy, and optimizers side by side."""
