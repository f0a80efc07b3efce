"""What others do, built on our elements, so that a benchmark can run it on the same noisy field as our inversion.

Three families of open methods (docs/theory/comparators.md):

    palpate.solvers.comparators.direct          algebraic inversion: G* locally constant, no mesh
    palpate.solvers.comparators.direct_fe     heterogeneous direct inversion: the data are put into the weak form
    palpate.solvers.comparators.dirichlet     nonlinear inversion of zones whose boundary data are taken as exact

None has a prior or an interval. They share zones, elements and solvers with our inversion: what differs is the method.
"""
