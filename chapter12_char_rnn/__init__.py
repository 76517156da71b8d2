"""Chapter 12: a recurrent network that writes text, character by character."""
