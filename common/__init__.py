"""What three or more chapters share: command lines, run folders, checkpoints, inputs, exports."""
