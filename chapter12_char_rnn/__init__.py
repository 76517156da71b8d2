"""Chapter 12: a character RNN, which generates text character by character."""
