"""Chapter 21: policy gradient, REINFORCE and PPO."""
