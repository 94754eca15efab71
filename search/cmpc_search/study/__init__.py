"""The search itself: records of candidates, samplers, the resumable loop, the Pareto front."""
