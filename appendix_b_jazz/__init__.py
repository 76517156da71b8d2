"""Appendix B: an LSTM improvises over chords."""
