"""The benchmark, ``make bench``: the worker and the edge as processes, against baselines of the same run."""
