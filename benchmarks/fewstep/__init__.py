"""What bench_fewstep.py and bench_fewstep_ablation.py are made of."""
