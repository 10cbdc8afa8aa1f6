"""One network trained by many ranks as a layout says, and the same training whatever the layout.

How a module becomes parallel, in this order:

    mesh.py      who this rank is on every axis (pp, dp, cp, tp), and the process groups of the axes
    capture.py   the module as a flat graph of operations, with its own parameters; what cannot be is refused
    passes       each reads and rewrites the graph on this rank, and leaves a graph that runs: tensor (tp), context
                 (cp), expert (ep). It replaces parameters by this rank's pieces and keeps the book of them (held.py)
    stages       the graph cut along pp; a rank keeps its stages
    sharing.py   data parallel (DDP) or sharded (zero 1 to 3) around what is left, over dp x cp
    parallel.py  the whole way: parallelize

What comes out is a `Parallel`: .module (callable where pp is 1), .parameters() of this rank, .held() which piece of
which tensor of the whole model each of them is, .step(inputs, targets, loss) forward and backward over a rank's
micro-batches with all exchanges, returning the mean loss over the global batch.

Names: a piece is known by the name that its tensor has in the person's own module, so that a checkpoint can be read by
any other layout. Inputs: every rank of one dp coordinate is given the same samples.
"""
