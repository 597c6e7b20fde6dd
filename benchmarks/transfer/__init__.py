"""What `bench_bridge.py` measures with: a desk in a process of its own, plain senders, a crowd of devices."""
