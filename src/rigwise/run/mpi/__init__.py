"""torch.distributed over MPI: a backend on mpi4py, for ranks that mpirun has started."""
