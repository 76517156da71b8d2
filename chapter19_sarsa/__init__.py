"""Chapter 19: SARSA, which learns from the actions it really takes."""
