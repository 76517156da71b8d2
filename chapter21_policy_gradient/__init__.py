"""Chapter 21: policy gradient, a network that is told which of its actions paid."""
