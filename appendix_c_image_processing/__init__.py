"""Appendix C: image processing in NumPy, optimizers side by side, and facts on tensors."""
