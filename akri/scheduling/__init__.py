"""What brokers, jobs and services should exist, decided from a snapshot of the cluster. Pure, like `akri.core`, which it stands on:
a placement policy is tested offline, without any of the programs that carry it out.
"""
