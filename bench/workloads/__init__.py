"""The workloads, by their letters; each fills the results of a stage."""
