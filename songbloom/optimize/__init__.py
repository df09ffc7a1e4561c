"""Getting out of a machine what it has: levels, CUDA graphs, parts that take turns on a small GPU."""
