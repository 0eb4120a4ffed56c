"""A fuzzer: what users may give, mutated, in the product's own worker process."""
