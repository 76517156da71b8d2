"""Chapter 13: a recurrent network that reads a sequence to its end and names its class."""
