"""Measures Gateway on the machine at hand, beside a peer in the same run: `python -m benchmarks`."""
