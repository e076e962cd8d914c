"""Training: which subnets a step trains, the loop, distillation, recalibration, checkpoints, retraining."""
