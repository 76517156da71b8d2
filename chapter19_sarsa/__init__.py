"""Chapter 19: SARSA, on-policy learning on the maze of chapter 18."""
