"""Whole-system benchmarks: real daemons on loopback beside rsync and rdiff, in turn, in the same run."""
