"""Appendix A: recurrent networks in NumPy, forward and backward."""
