"""Chapter 20: deep Q-networks."""
