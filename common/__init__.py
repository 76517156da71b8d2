"""What three or more chapters share: command lines, run folders, checkpoints, inputs, exports."""

import os

# TensorFlow reads this when it first uses a GPU. Without it a process takes the whole card, and
# eval.py beside a training gets nothing.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
