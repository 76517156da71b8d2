"""Chapter 13: sequence classification with an N-to-1 recurrent network."""
