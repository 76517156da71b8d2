"""Chapter 18: Q-learning finds the way through a maze."""
