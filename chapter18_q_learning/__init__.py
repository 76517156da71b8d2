"""Chapter 18: tabular Q-learning on a maze."""
